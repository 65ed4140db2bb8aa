"""Decisions, pure: typed snapshots in, plans out. No clock, no network, no logging.

Flow of a pass, the same for both kinds: observe (controller) → decide (here) → execute → report (controller).
"""
