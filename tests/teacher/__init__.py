"""The scripted teacher: a stand-in for a large model behind an OpenAI-compatible server.

It is a fake at the edge, named as such: it needs no GPU, answers deterministically in the forms that the pipelines of
instructlab-sdg parse, takes as long as told, fails as told, and remembers what it was asked.
"""
