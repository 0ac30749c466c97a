"""One HTTP face over one pipeline: authenticate, authorize, admit, register, store, watch."""
