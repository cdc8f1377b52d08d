"""The SMS sender: permitted SMS contacts in, provider calls and facts out.

In: `contact.tasks.sms.v1`, providers' webhooks (`/webhooks/{provider}/{tenant}/{account}`). Out:
calls to providers, facts on `contact.events.v1`, opt-out holds on `contact.holds.v1`. Tables: those
of `shared.sender.tables` in the schema `sms_sender`. Everything but the channel itself (message,
replies, providers) is the sender runtime, `shared.sender`.
"""
