"""Reading, checking and packing a taxonomy. Knows nothing of Kubernetes.

The way of a taxonomy through the modules::

    source → archive, folder, repository → tree → root → check (qna, yamltext, lint, secondreader)
           → documents (giturl, address, handshake, sshcommand, gitrun, patterns) → inspection → snapshot, report

`validate` runs all of it in its container, `sdg taxonomy check` on a laptop. `request` and `report` are what the
operator shares with the container; they import nothing heavy. ``docs/taxonomy-checks.md`` is the text for users.
"""
