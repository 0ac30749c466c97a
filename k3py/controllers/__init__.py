"""Every controller the server runs. A new one is a new file and a line here."""
