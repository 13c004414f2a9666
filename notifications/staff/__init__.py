"""Where staff write messages, follow them, and watch the servers: pages in Django's admin, and
what commands say in the same words. All of it may know all of the app; of the app only the edge
knows it."""
