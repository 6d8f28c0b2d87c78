"""Work on what strangers wrote, done in a process apart: `owner` asks it, `process` is it. Knows no order, no settings."""
