"""The contract between services: envelope, event types, topics, identities, states.

In: nothing but the standard library and msgspec. Out: frozen structs that every service encodes
and decodes with, and the tables (`topics`, `states`) that every service obeys. Whatever crosses
Kafka is defined here and nowhere else; `schemas/` holds one checked-in JSON Schema per type.
"""
