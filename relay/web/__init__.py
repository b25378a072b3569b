"""The pages: ``doorbell-relay web``. They see the store as Protocols, and know neither the broker nor SQL."""
