package com.example.videoconf.info;

/** What the user, not the facade, has to mend. */
final class UsageException extends Exception {
  private static final long serialVersionUID = 1;

  UsageException(String message) {
    super(message);
  }
}
