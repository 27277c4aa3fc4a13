"""A SIP user agent: it dials, takes calls, plays sound, and measures how loud the other side is.

Nothing happens between two polls, so callers need no locks. An agent has at most four calls at a time, because pjsua2
is compiled so; a program with more calls needs more processes.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pjsua2 as pj

#: how many calls an agent has at a time
MOST_CALLS = 4
#: milliseconds that a poll waits for something to happen
_POLL_MS = 20
#: seconds that calls get to end properly when the agent is closed
_FAREWELL = 0.5


class Leg:
    """One call, as this agent sees it. Its attributes change while the agent polls."""

    def __init__(self, number: str) -> None:
        #: the number that is called
        self.number = number
        #: True once the called telephone rings
        self.ringing = False
        #: when the call was answered, on the monotonic clock in seconds
        self.answered_at: float | None = None
        #: when the call ended, likewise
        self.ended_at: float | None = None
        #: the SIP status of the last answer, such as 486
        self.code = 0
        self._call: Any = None
        self._audio: Any = None
        self._player: Any = None

    @property
    def is_heard(self) -> bool:
        """True while sound goes both ways."""
        return self._audio is not None

    @property
    def loudness(self) -> int:
        """How loud the other side is at the moment, in per cent."""
        # The library names directions from its mixer: the other side transmits to the mixer.
        return 0 if self._audio is None else int(self._audio.getTxLevel())

    @property
    def seconds_talked(self) -> float:
        """From the answer to the end, or to now."""
        if self.answered_at is None:
            return 0.0
        return (self.ended_at or time.monotonic()) - self.answered_at

    def answer(self, code: int) -> None:
        """Answer a call that comes in: 180 rings, 200 takes it, anything from 300 on refuses it."""
        if self.ended_at is None:
            parameters = pj.CallOpParam()
            parameters.statusCode = code
            self._call.answer(parameters)

    def hang_up(self) -> None:
        """End the call, or give it up before it's answered."""
        if self.ended_at is None:
            self._call.hangup(pj.CallOpParam(True))

    def play(self, sound: Path) -> None:
        """Let the other side hear a WAV file once. Needs `is_heard`."""
        # The agent's reference keeps the player alive; without it the sound stops at the next garbage collection.
        self._player = pj.AudioMediaPlayer()
        self._player.createPlayer(str(sound), pj.PJMEDIA_FILE_NO_LOOP)
        self._player.startTransmit(self._audio)


class Agent:
    """A context manager: inside it the agent has an address, over UDP."""

    def __init__(self, host: str, on_call: Callable[[Leg], None] | None = None) -> None:
        """`host` is an address of this machine. `on_call` gets each call that comes in; without it, all are refused."""
        self._host = host
        self._on_call = on_call or (lambda leg: leg.answer(480))
        # The call objects are kept to the end: one that is garbage-collected hangs up the call that has its id then.
        self._calls: list[_Call] = []
        #: host and port
        self.address = ""

    def __enter__(self) -> Self:
        self._endpoint = pj.Endpoint()
        with _quiet():
            self._endpoint.libCreate()
            self._endpoint.libInit(_endpoint_config())
        # Every telephone and exchange knows this codec, and it needs the least processor time.
        self._endpoint.codecSetPriority("PCMU/8000", 255)
        # No sound card is needed: the agent plays files, and measures levels.
        self._endpoint.audDevManager().setNullDev()
        transport = pj.TransportConfig()
        transport.boundAddress = self._host
        identifier = self._endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self._endpoint.libStart()
        self.address = self._endpoint.transportGetInfo(identifier).localName
        self._account = self._new_account("callpacer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for leg in (legs := [call.leg for call in self._calls]):
            leg.hang_up()
        until = time.monotonic() + _FAREWELL
        while time.monotonic() < until and any(leg.ended_at is None for leg in legs):
            self.poll()
        # All objects have to be gone before the library is, or it crashes.
        for leg in legs:
            leg._call = leg._audio = leg._player = None
        self._calls.clear()
        self._account.shutdown()
        del self._account
        self._endpoint.libDestroy()

    def dial(self, number: str, host: str) -> Leg:
        """Call a number at a host, which may have a port. Raises pjsua2.Error if there are too many calls."""
        leg = Leg(number)
        call = _Call(self, self._account, leg)
        parameters = pj.CallOpParam(True)
        parameters.opt.videoCount = 0
        call.makeCall(f"sip:{number}@{host}", parameters)
        return leg

    def poll(self) -> None:
        """Handle what has happened, and wait up to 20 ms for it."""
        self._endpoint.libHandleEvents(_POLL_MS)

    def _new_account(self, name: str) -> Any:
        config = pj.AccountConfig()
        config.idUri = f"sip:{name}@{self.address}"
        media = config.mediaConfig.transportConfig
        media.boundAddress = self._host
        media.port = 0
        account = _Account(self)
        account.create(config)
        return account

    def called(self, account: Any, parameters: Any) -> None:
        """A call comes in."""
        leg = Leg(_called_number(parameters.rdata.wholeMsg))
        _Call(self, account, leg, parameters.callId)
        self._on_call(leg)

    def keep(self, call: "_Call") -> None:
        self._calls.append(call)

    @property
    def sink(self) -> Any:
        """A listener that plays nothing. Without a listener the library measures no level."""
        return self._endpoint.audDevManager().getPlaybackDevMedia()


class _Account(pj.Account):
    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self._agent = agent

    def onIncomingCall(self, prm: Any) -> None:
        self._agent.called(self, prm)


class _Call(pj.Call):
    def __init__(self, agent: Agent, account: Any, leg: Leg, identifier: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, identifier)
        self._agent = agent
        self.leg = leg
        leg._call = self
        agent.keep(self)

    def onCallState(self, prm: Any) -> None:
        info, leg = self.getInfo(), self.leg
        leg.code = info.lastStatusCode
        if info.state == pj.PJSIP_INV_STATE_EARLY and leg.code in (180, 183):
            leg.ringing = True
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            leg.answered_at = time.monotonic()
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            leg.ended_at = time.monotonic()
            leg._audio = leg._player = None

    def onCallMediaState(self, prm: Any) -> None:
        # The list of media is valid only as long as the info exists.
        info = self.getInfo()
        for media in info.media:
            is_sound = media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE
            if is_sound and self.leg._audio is None:
                self.leg._audio = self.getAudioMedia(media.index)
                self.leg._audio.startTransmit(self._agent.sink)


def _endpoint_config() -> Any:
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    # Everything happens inside `poll`, in the thread that polls.
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.maxCalls = MOST_CALLS
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    # Silence is sent, too: a gap would look like a network that loses packets.
    config.medConfig.noVad = True
    return config


def _called_number(request: str) -> str:
    """`+12223334444` of a request that begins with `INVITE sip:+12223334444@127.0.0.1:5060 SIP/2.0`."""
    return request.split(maxsplit=2)[1].removeprefix("sip:").partition("@")[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard standard output: the library writes to it before its log can be switched off."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
