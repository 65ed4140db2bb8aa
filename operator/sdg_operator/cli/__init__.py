"""The program for people, ``sdg`` (also ``kubectl sdg``)."""
