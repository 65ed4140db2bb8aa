"""Reading, checking and packing a taxonomy. Knows nothing of Kubernetes.

The way of a taxonomy through the modules::

    source → archive, folder, repository → tree → root
           → check (qna, yamltext, lint, secondreader; yamlwords and schemawords say what is wrong)
           → documents (giturl, address, handshake, sshcommand, gitrun, files; choice, patterns, nomatch; documenttext)
           → inspection → snapshot, report

`validate` runs all of it in its container, `sdg taxonomy check` on a laptop, where `fix` mends form. `request` and
`report` are what the operator shares with the container; they import nothing heavy. ``docs/taxonomy-checks.md`` is
the text for users.
"""
