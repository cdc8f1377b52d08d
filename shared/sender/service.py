"""One sender service: everything wired, started in order, in one process.

In: a `Channel` and its settings class. Out: `python -m services.<name> serve | migrate | settings`.
The HTTP server starts first (health) and stops last (receipts still arrive); the task feed starts
last, when configuration and holds have been read.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from shared import settings as settings_of
from shared.clock import Clock
from shared.directory import Directory
from shared.events.topics import CONTACT_HOLDS, PLATFORM_CONFIG, TASKS_BY_CHANNEL
from shared.http.auth import Authenticator
from shared.http.server import HttpServer, Progress, create_app
from shared.kafka import admin
from shared.kafka.admin import Layout
from shared.kafka.client import ConsumerSettings
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.postgres import Pool, migrate, open_pool, outbox
from shared.postgres.lane import LaneRelay
from shared.postgres.relay import Relay
from shared.privacy import Sealer, key_bytes
from shared.runtime import CannotStart, Service
from shared.sender.callbacks import Callbacks
from shared.sender.calling import START_SECONDS_MAX, Caller
from shared.sender.calls import new_client
from shared.sender.channel import Channel
from shared.sender.composing import Composer
from shared.sender.credentials import Accounts
from shared.sender.deliver import Deliverer
from shared.sender.endings import ABANDONED_GRACE_SECONDS, Closer, Retries, Sweeper, Upkeep
from shared.sender.facts import Facts
from shared.sender.feed import TaskFeed
from shared.sender.holds import Holds
from shared.sender.lanes import Lanes
from shared.sender.picking import Picker
from shared.sender.receipts import Interpreter
from shared.sender.recording import Recorder
from shared.sender.settings import SenderSettings
from shared.sender.store import endings, holds as hold_store
from shared.sender.throttle import Throttle
from shared.sender.webhooks import Webhooks, hold_envelope
