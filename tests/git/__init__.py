"""Real Git servers for tests: https with accounts and redirects, and ssh."""
