"""What the demo needs of a user's side: so far, the taxonomy as an archive."""
