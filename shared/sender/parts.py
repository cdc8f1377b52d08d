"""The parts of one sender process, made before anything runs, and how they know each other.

In: channel, settings, database, provider client. Out: one value per loop; nothing starts here.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiohttp

from shared.clock import Clock
from shared.directory import Directory
from shared.events.topics import CONTACT_HOLDS, PLATFORM_CONFIG, TASKS_BY_CHANNEL
from shared.kafka.admin import Layout
from shared.kafka.client import ConsumerSettings
from shared.kafka.cluster import cluster_of
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.ends import LogEnds
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.postgres import Pool, outbox
from shared.postgres.figures import Figures
from shared.postgres.lane import LaneRelay
from shared.postgres.relay import Relay
from shared.privacy import Sealer, key_bytes
from shared.sender.asking import Asking
from shared.sender.callbacks import Callbacks
from shared.sender.calling import START_SECONDS_MAX, Caller
from shared.sender.channel import Channel
from shared.sender.composing import Composer
from shared.sender.credentials import Accounts
from shared.sender.deliver import Deliverer
from shared.sender.doors import Surroundings
from shared.sender.endings import ABANDONED_GRACE_SECONDS, Closer, Retries, Sweeper, Upkeep
from shared.sender.facts import Facts
from shared.sender.feed import TaskFeed
from shared.sender.figures import SenderFigures
from shared.sender.grants import Grants
from shared.sender.holds import Holds
from shared.sender.judging import Judge
from shared.sender.lanes import Lanes
from shared.sender.limits import Limits
from shared.sender.people import People
from shared.sender.picking import Picker
from shared.sender.progress import Parts
from shared.sender.reading import Reader
from shared.sender.receipts import Interpreter
from shared.sender.recording import Recorder
from shared.sender.reply_reading import ReplyReader
from shared.sender.settings import SenderSettings
from shared.sender.store import holds as hold_store
from shared.sender.throttle import Throttle
from shared.sender.webhooks import Webhooks, hold_envelope


class Sender:
    """Everything a sender process consists of."""

    def __init__(
        self,
        channel: Channel[Any],
        settings: SenderSettings,
        pool: Pool,
        client: aiohttp.ClientSession,
    ) -> None:
        self.channel = channel
        self.settings = settings
        self.pool = pool
        self.owner = uuid4()  # of the claims of this process, in this life
        self.clock = Clock(sandbox=settings.mode == "sandbox")
        self.directory = Directory()
        self.accounts = Accounts(self.directory, Grants.of(settings))
        self.facts = Facts(channel.service, settings.topic_suffix)
        self.lanes = Lanes()
        self.address_key = key_bytes(settings.address_key.get_secret_value())
        self.sealer = Sealer(key_bytes(settings.text_key.get_secret_value()))
        self.callbacks = Callbacks(
            settings.public_url, key_bytes(settings.callback_key.get_secret_value())
        )
        self.retention = timedelta(days=settings.receipt_retention_days)
        # A call may take so long; after its claim it may begin a second late.
        self.call_seconds_max = (
            settings.provider_connect_seconds_max + settings.provider_read_seconds_max
        )
        self.call_budget = timedelta(seconds=self.call_seconds_max)
        self._make_kafka()
        self._make_delivery(client)
        self._make_returns(client)
        self.doors = tuple(
            channel.doors(
                Surroundings(
                    settings=settings,
                    directory=self.directory,
                    callbacks=self.callbacks,
                    receive=self.webhooks.receive,
                    configured=self.config_reader.caught_up.is_set,
                )
            )
        )

    def parts(self) -> Parts:
        """Return whom progress asks."""
        return Parts(
            pool=self.pool,
            feed=self.feed,
            deliverer=self.deliverer,
            sweeper=self.sweeper,
            interpreter=self.interpreter,
            webhooks=self.webhooks,
            relay=self.relay,
            lane=self.lane,
            ends=self.ends,
            abandoned_after_seconds=self.abandoned_after_seconds,
        )

    def figures(self) -> Figures:
        """Return the loop that looks at what no event tells."""
        return SenderFigures(
            pool=self.pool,
            feed=self.feed,
            ends=self.ends,
            lanes=self.lanes,
            topic=self.tasks_topic,
        ).all()

    @property
    def abandoned_after_seconds(self) -> float:
        """Age at which a claim without an outcome has lost its process for certain."""
        return START_SECONDS_MAX + self.call_seconds_max + ABANDONED_GRACE_SECONDS

    async def republish_holds(self) -> None:
        """Append the live holds that began here to the lane again (the broker was emptied)."""
        async with self.pool.transaction() as conn:
            mine = await hold_store.placed_by(conn, self.channel.service)
            await outbox.append_to_lane(
                conn, [hold_envelope(each, self.facts.source) for each in mine]
            )

    def _make_kafka(self) -> None:
        settings, suffix = self.settings, self.settings.topic_suffix
        layout = Layout(
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
            suffix=suffix,
        )
        brokers = cluster_of(settings)
        self.tasks_topic = TASKS_BY_CHANNEL[self.channel.name].name + suffix
        self.producer = Producer(brokers, client_id=settings.service_name)
        self.config_reader = CompactedReader(brokers, PLATFORM_CONFIG.name + suffix)
        self.holds_reader = CompactedReader(brokers, CONTACT_HOLDS.name + suffix)
        self.ends = LogEnds(brokers, [self.tasks_topic])
        self.relay = Relay(self.pool, self.producer, layout=layout)
        self.lane = LaneRelay(
            self.pool,
            self.producer,
            topic=CONTACT_HOLDS.name + suffix,
            source=self.facts.source,
            layout=layout,
            on_log_lost=self.republish_holds,
        )
        self.holds = Holds(self.pool, self.clock, self.holds_reader)

    def _make_delivery(self, client: aiohttp.ClientSession) -> None:
        composer: Composer[Any] = Composer(
            self.channel,
            self.directory,
            self.accounts,
            address_key=self.address_key,
            sealer=self.sealer,
            call_budget=self.call_budget,
        )
        throttle = Throttle(self.pool)
        self.people = People(self.channel, self.address_key, self.channel.service, self.callbacks)
        self.recorder = Recorder(
            self.pool, self.facts, self.owner, self.call_budget, self.people.learn_from_calls
        )
        caller = Caller(
            client=client,
            clock=self.clock,
            composer=composer,
            holds=self.holds,
            throttle=throttle,
            callbacks=self.callbacks,
            lanes=self.lanes,
            call_budget=self.call_budget,
        )
        self.deliverer = Deliverer(
            pool=self.pool,
            clock=self.clock,
            picker=Picker(composer, throttle, self.lanes),
            caller=caller,
            recorder=self.recorder,
            throttle=throttle,
            holds=self.holds,
            facts=self.facts,
            lanes=self.lanes,
            judge=Judge(
                memory=self.channel.memory, pool=self.pool, throttle=throttle, lanes=self.lanes
            ),
            limits=Limits(self.pool, throttle, self.lanes, self.channel.pair_rate_per_minute),
            owner=self.owner,
            calls_max=self.settings.provider_calls_max,
            published=self.relay.wake,
        )
        self.closer = Closer(self.pool, self.facts, self.owner, self.relay.wake)
        self.feed = self._task_feed()

    def _task_feed(self) -> TaskFeed:
        settings = self.settings
        return TaskFeed(
            pool=self.pool,
            consumer=GroupConsumer(
                cluster_of(settings),
                self.channel.service + settings.topic_suffix,
                [self.tasks_topic],
                ConsumerSettings(session_timeout_ms=settings.kafka_session_timeout_ms),
            ),
            group=self.channel.service,
            lanes=self.lanes,
            dead_letters=DeadLetters(self.producer),
            clock=self.clock,
            retention=self.retention,
            arrived=self.deliverer.wake,
            close=self.closer.close,
        )

    def _make_returns(self, client: aiohttp.ClientSession) -> None:
        self.retries = Retries(
            self.pool, self.lanes, self.recorder, self.owner, self.deliverer.wake
        )
        self.sweeper = Sweeper(self.pool, self.facts, self.abandoned_after_seconds, self.relay.wake)
        self.upkeep = Upkeep(self.pool, self.clock, self.retention, self.channel.memory)
        self.interpreter = Interpreter(
            pool=self.pool,
            channel=self.channel,
            reader=Reader(
                facts=self.facts,
                people=self.people,
                replies=ReplyReader(
                    channel=self.channel,
                    facts=self.facts,
                    sealer=self.sealer,
                    people=self.people,
                    callbacks=self.callbacks,
                ),
                in_flight=self.deliverer.in_flight,
                callbacks=self.callbacks,
            ),
            published=self.relay.wake,
        )
        self.webhooks = Webhooks(
            service=self.channel.service,
            channel=self.channel,
            accounts=self.accounts,
            callbacks=self.callbacks,
            clock=self.clock,
            pool=self.pool,
            holds=self.holds,
            people=self.people,
            arrived=self.interpreter.take,
            hold_placed=self.lane.wake,
            configured=self.config_reader.caught_up.is_set,
            asking=Asking(client, self.channel.providers.values()),
        )
