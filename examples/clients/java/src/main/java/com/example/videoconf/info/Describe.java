package com.example.videoconf.info;

import com.google.protobuf.Descriptors.EnumDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.Struct;
import com.google.protobuf.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import rocketchat.videoconference.v1.GetInfoResponse;
import rocketchat.videoconference.v1.LeftReason;
import rocketchat.videoconference.v1.User;
import rocketchat.videoconference.v1.VideoConference;
import rocketchat.videoconference.v1.VideoConferenceStatus;
import rocketchat.videoconference.v1.VideoConferenceType;
import rocketchat.videoconference.v1.VideoConferenceUser;

/** Tells of a conference in a few lines. */
final class Describe {
  private static final DateTimeFormatter AT =
      DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);

  private final StringBuilder lines = new StringBuilder();

  private Describe() {}

  /** {@code url} isn't among the lines, since it may let anybody in who sees it. */
  static String response(GetInfoResponse r, Instant now) {
    VideoConference c = r.getVideoConference();
    Describe d = new Describe();
    String type = words(VideoConferenceType.getDescriptor(), c.getTypeValue());
    d.line("call", c.getTitle().isEmpty() ? type : c.getTitle());
    // Some providers set ended_at without a change of status.
    String over = c.hasEndedAt() ? ", over since " + at(c.getEndedAt()) : "";
    d.line("status", words(VideoConferenceStatus.getDescriptor(), c.getStatusValue()) + over);
    for (VideoConferenceUser u : c.getUsersList()) {
      d.line("with", person(u.getName(), u.getUsername(), u.getId()) + presence(u));
    }
    if (c.getAnonymousUsers() > 0) {
      d.line("with", c.getAnonymousUsers() + " without an account");
    }
    if (c.hasCreatedAt()) {
      User by = c.getCreatedBy();
      String creator =
          c.hasCreatedBy() ? " by " + person(by.getName(), by.getUsername(), by.getId()) : "";
      d.line("created", at(c.getCreatedAt()) + creator);
    }
    if (r.hasReadAt()) {
      // By two clocks, the facade's and ours, which may differ.
      double age = Math.max(0, Duration.between(instant(r.getReadAt()), now).toMillis() / 1000.0);
      d.line("read", String.format(Locale.ROOT, "%.1f s ago", age));
    }
    additional(c, "").forEach(text -> d.line("also", text));
    return d.lines.toString();
  }

  private void line(String label, String text) {
    lines.append(String.format("%-8s %s\n", label, Failure.oneLine(text)));
  }

  /**
   * Makes "started" of VIDEO_CONFERENCE_STATUS_STARTED, and 9 of a value that is newer than this
   * client's proto. Takes the number, since the enum's constant for such a value, UNRECOGNIZED, has
   * none.
   */
  private static String words(EnumDescriptor type, int number) {
    if (number == 0) {
      return "unknown"; // Absent, or not known to the facade: then it is an "also".
    }
    if (type.findValueByNumber(number) == null) {
      return String.valueOf(number);
    }
    // The value 0 of each enum is its prefix and UNSPECIFIED.
    int prefix = type.findValueByNumber(0).getName().length() - "UNSPECIFIED".length();
    String name = type.findValueByNumber(number).getName().substring(prefix);
    return name.toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  private static String person(String name, String username, String id) {
    if (!name.isEmpty() && !username.isEmpty()) {
      return name + " (" + username + ")";
    }
    return (name + username).isEmpty() ? id : name + username;
  }

  /** Told by Rocket.Chat 8.9 and later; before, who is listed joined. */
  private static String presence(VideoConferenceUser u) {
    if (u.hasLeftAt()) {
      String why = words(LeftReason.getDescriptor(), u.getLeftReasonValue());
      return ", left " + at(u.getLeftAt()) + (u.getLeftReasonValue() == 0 ? "" : ": " + why);
    }
    if (u.getDeclined()) {
      return ", declined";
    }
    return u.hasJoined() && !u.getJoined() ? ", not joined" : "";
  }

  private static Instant instant(Timestamp t) {
    return Instant.ofEpochSecond(t.getSeconds(), t.getNanos());
  }

  private static String at(Timestamp t) {
    return AT.format(instant(t));
  }

  /**
   * Finds what stands in {@code additional_fields} of a message and of those within: what the proto
   * doesn't know, or what doesn't fit it.
   */
  private static List<String> additional(Message message, String path) {
    List<String> found = new ArrayList<>();
    message
        .getAllFields()
        .forEach(
            (field, value) -> {
              if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
                return;
              }
              String name = path + field.getJsonName();
              if (value instanceof List<?> items) {
                for (int i = 0; i < items.size(); i++) {
                  found.addAll(additional((Message) items.get(i), name + "[" + i + "]."));
                }
              } else if (value instanceof Struct extra) {
                new TreeMap<>(extra.getFieldsMap())
                    .forEach((key, member) -> found.add(path + key + ": " + Json.text(member)));
              } else {
                found.addAll(additional((Message) value, name + "."));
              }
            });
    return found;
  }
}
