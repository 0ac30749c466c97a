"""The four ways to say what should change."""
