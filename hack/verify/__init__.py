"""The gate: common tools with our settings, and checks of our own for what no common tool looks at."""
