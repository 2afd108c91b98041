"""What runs trailcanary somewhere else than on a laptop."""
