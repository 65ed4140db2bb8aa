"""What a release consists of, made from the repository: see ``make release-files``."""
