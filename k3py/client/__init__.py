"""How every component talks to the API, in process or over HTTPS."""
