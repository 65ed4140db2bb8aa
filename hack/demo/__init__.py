"""`make demo`: the main job done for real, from an empty machine to training files in a bucket.

The teacher is a real small language model on the CPU unless ``DEMO_TEACHER`` says otherwise. Everything is made in
namespaces of its own; the last lines say how to look around and how to remove it.
"""
