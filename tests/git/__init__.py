"""Real Git servers for tests: http(s) with accounts and redirects, and ssh."""
