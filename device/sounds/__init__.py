"""What a device sounds, before a player plays it: sentences, scores, their level, and the files that hold them.

``waves``, ``level``, ``reading``, ``making`` and ``rendering`` import only the standard library: they run as a process
of their own, so that neither their memory nor their time is the daemon's.
"""
