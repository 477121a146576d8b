"""Video files: clips, frames, compressed features, sound, cutting."""
