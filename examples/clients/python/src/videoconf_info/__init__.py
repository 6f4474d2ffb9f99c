"""The program `info`."""
