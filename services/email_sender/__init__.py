"""The e-mail sender: permitted reminders in, mails and facts out.

In: `contact.tasks.email.v1`; providers' webhooks; bounces, complaints and replies by SMTP;
one-click unsubscribes by HTTP. Out: mails, facts on `contact.events.v1`, opt-out holds on
`contact.holds.v1`. Tables: those of `shared.sender.tables` in the schema `email_sender`. Everything
but the channel itself (message, providers, ways in by mail) is the sender runtime, `shared.sender`.
"""
