"""The only place that knows how the parts fit."""
