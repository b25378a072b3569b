"""The daemon on every Pi, the elder's panel and the volunteer's bell. It knows nothing of the relay but the wire."""
