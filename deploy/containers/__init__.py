"""What containers need beside the services: their health check, and the secrets of a first start.

In: nothing but Python's own library, so that both run in the image and on a bare host alike.
"""
