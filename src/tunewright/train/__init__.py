"""The training side: examples, the one gradient loop, the ladder of methods, export."""
