"""The WhatsApp sender: permitted WhatsApp contacts in, provider calls and facts out.

In: `contact.tasks.whatsapp.v1`, providers' webhooks (`/webhooks/{provider}/{tenant}/{account}`).
Out: calls to providers, facts on `contact.events.v1`, opt-out holds on `contact.holds.v1`. Tables:
those of `shared.sender.tables`, and what WhatsApp alone must remember of people (`tables.py`).
Everything but the channel itself (message, people, providers) is the sender runtime.
"""
