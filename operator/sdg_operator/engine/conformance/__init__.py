"""Check any engine against the engine contract: start it on small work folders and look at what it leaves.

`trials` starts an engine and watches it, `clauses` says what must hold, `teacher` is who the engine asks.
"""
