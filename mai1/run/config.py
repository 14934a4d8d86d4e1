"""What pretraining and both kinds of tuning can be told: the parts' own dataclasses put together."""

from dataclasses import dataclass, field
from pathlib import Path

from mai1.checkpoint.checkpoint import CheckpointConfig
from mai1.data.conversations import TooLong
from mai1.data.integrity import OnDamagedShard
from mai1.data.loader import BatchConfig
from mai1.data.mixture import MixtureConfig
from mai1.engine.ds_config import EngineConfig
from mai1.evaluate.config import PeriodicConfig
from mai1.generate.sampling import SamplingConfig
from mai1.loss import LossConfig
from mai1.model.embedding_noise import NeftuneConfig
from mai1.model.lora import LoraConfig
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import ModelConfig
from mai1.objective.pair_losses import PreferenceConfig
from mai1.optim.adamw import OptimConfig
from mai1.preflight.config import Checks, PreflightConfig
from mai1.tokenizer.chat_tokens import Learn
from mai1.train.alarms import AlarmConfig
from mai1.train.guard import GuardConfig
from mai1.train.ledger import LedgerConfig
from mai1.train.metrics import WandbConfig
from mai1.train.router_policy import RouterConfig, check_router_policy
from mai1.train.selection import SelectionConfig
from mai1.train.trainable import TrainableConfig
from mai1.train.trainer import TrainConfig
from mai1.watch.config import LaunchConfig, WatchConfig


@dataclass(kw_only=True, slots=True)
class RunConfig:
    name: str = "first"
    """Name of the run; its files go to DIRECTORY/NAME."""
    directory: str = "runs"
    """Folder of all runs."""
    seed: int = 0
    """Seed of initial weights and data order."""

    def __post_init__(self) -> None:
        is_plain = Path(self.name).name == self.name and not self.name.startswith(".") and self.name.isprintable()
        if not self.name or not is_plain:
            raise ValueError(f"run.name={self.name!r} must be a plain folder name: use letters, digits, - and _")
        if self.seed < 0:
            raise ValueError(f"run.seed={self.seed} must not be negative")

    @property
    def path(self) -> Path:
        """The run's directory."""
        return Path(self.directory) / self.name


@dataclass(kw_only=True, slots=True)
class PretrainData:
    path: str = "data/embedded"
    """Directory that `mai1 prepare` wrote."""
    on_damaged_shard: OnDamagedShard = OnDamagedShard.stop
    """stop | quarantine: train without the shards that are not as they were written, say so and record it."""
    accept_changes: bool = False
    """Go on with an unfinished run though its data or mixture changed, also to another path; from there on the order is the
    new data's."""
    sequence_length: int = 512
    """Tokens of one training row."""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """How much of each source, when, and how often; by default all are shuffled together."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("data.path='' must name a directory that `mai1 prepare` wrote")
        _check_sequence_length(self.sequence_length)


@dataclass(kw_only=True, slots=True)
class InstructData:
    train: str = "data/embedded/instruct/train.jsonl"
    """Conversations to learn: .jsonl or .json with messages, alpaca, prompt/completion or question/answer."""
    heldout: str = "data/embedded/instruct/heldout.jsonl"
    """Conversations to ask before and after; empty: none."""
    accept_changes: bool = False
    """Go on with an unfinished run though its data changed, also to other files; from there on the order is the new data's."""
    sequence_length: int = 512
    """Tokens of one row; several conversations share it, isolated from each other."""
    learn: Learn = Learn.all
    """all | last: which of the assistant's answers in a conversation are learned; those with train=false or weight=0 never."""
    too_long: TooLong = TooLong.leave_out
    """leave_out | cut: what becomes of a conversation longer than a row; cut keeps it up to an answer that fits."""
    chat_template: str = ""
    """File of a chat template to use and to keep in place of the one that came with a Hugging Face model; empty: its own."""

    def __post_init__(self) -> None:
        _check_sequence_length(self.sequence_length)


@dataclass(kw_only=True, slots=True)
class PreferenceData:
    train: str = "data/embedded/instruct/preferences.train.jsonl"
    """Pairs to learn from: .jsonl or .json with chosen and rejected, and prompt, question, instruction or messages."""
    heldout: str = "data/embedded/instruct/preferences.heldout.jsonl"
    """Pairs on which the share that is ranked rightly is measured, and whose questions are asked; empty: none."""
    accept_changes: bool = False
    """Go on with an unfinished run though its data changed, also to other files; a reference of the old data is refused."""
    sequence_length: int = 1024
    """Tokens of one row; it holds both answers of a pair, each with its question, and several pairs where they are short."""
    chat_template: str = ""
    """File of a chat template to use and to keep in place of the one that came with a Hugging Face model; empty: its own."""

    def __post_init__(self) -> None:
        _check_sequence_length(self.sequence_length)


def _check_sequence_length(value: int) -> None:
    if value < 2:
        raise ValueError(f"data.sequence_length={value} must be at least 2")


@dataclass(kw_only=True, slots=True)
class SamplesConfig:
    count: int = 4
    """Samples the report shows: continuations after pretraining, answers before and after tuning."""
    questions: int = 100
    """Held-out questions asked before and after tuning; 0 asks none."""
    persona_probes: int = 0
    """Questions of a fixed set, asked before and after tuning, that tempt a model to claim feelings, wishes or a life of its
    own: the rate of such answers is in the report; 0 asks none."""
    every_steps: int = 0
    """Steps between samples from the model as it is, `count` of them, into samples.jsonl; 0: only at the end."""

    def __post_init__(self) -> None:
        for key in ("count", "questions", "persona_probes", "every_steps"):
            if getattr(self, key) < 0:
                raise ValueError(f"samples.{key}={getattr(self, key)} must not be negative: use 0 for none")


@dataclass(kw_only=True, slots=True)
class StageConfig:
    """What all stages share."""

    run: RunConfig = field(default_factory=RunConfig)
    """Name and place of the run."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Rows per step."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer and learning rate."""
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    """How tokens and experts find each other in training; the model that comes out is the same kind."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What is minimised besides the next token's loss."""
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    """Which tokens are learned from; routers and their balancing are over all."""
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    """Balancing of the experts."""
    trainable: TrainableConfig = field(default_factory=TrainableConfig)
    """What of the model is trained: all of it, or some experts alone."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """Adapters that are trained in place of the model's weights, and merged into them in every checkpoint."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How the work is spread over ranks."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Length of the run and what is logged when."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Checkpoints."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How samples are drawn."""
    samples: SamplesConfig = field(default_factory=SamplesConfig)
    """Samples in the report."""
    alarms: AlarmConfig = field(default_factory=AlarmConfig)
    """Thresholds of the experts' figures: one that is reached is said, recorded and shown in the report."""
    wandb: WandbConfig = field(default_factory=WandbConfig)
    """Weights & Biases."""
    ledger: LedgerConfig = field(default_factory=LedgerConfig)
    """From when on the ledger of FLOPs counts a token as wasted; nothing is learned from it."""
    guard: GuardConfig = field(default_factory=GuardConfig)
    """What becomes of bad steps: skipped, computed again, or a return to a checkpoint."""
    evaluation: PeriodicConfig = field(default_factory=PeriodicConfig)
    """Tasks that are evaluated while the model learns."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """What looks for stuck, slow and diverging ranks."""
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    """Starting the ranks of this machine, and starting them again."""
    preflight: PreflightConfig = field(default_factory=lambda: PreflightConfig(checks=Checks.off))
    """Looking at the nodes before the first step; off, because a restart needs no second look and `mai1 preflight` gives a job
    its first."""


@dataclass(kw_only=True, slots=True)
class PretrainConfig(StageConfig):
    model: ModelConfig = field(default_factory=ModelConfig)
    """Shape of the model."""
    data: PretrainData = field(default_factory=PretrainData)
    """What to train on."""


@dataclass(kw_only=True, slots=True)
class TuningConfig(StageConfig):
    """What the stages share that begin with a model."""

    balance: BalanceConfig = field(default_factory=lambda: BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0))
    """Balancing of the experts; router.policy says what is possible."""
    router: RouterConfig = field(default_factory=RouterConfig)
    """What becomes of the routers."""
    neftune: NeftuneConfig = field(default_factory=NeftuneConfig)
    """Noise on embeddings."""

    def __post_init__(self) -> None:
        if not self.checkpoint.init_from:
            raise ValueError("checkpoint.init_from is empty but tuning starts from a model: use a run or checkpoint")
        check_router_policy(self.router.policy, self.balance)


@dataclass(kw_only=True, slots=True)
class SftConfig(TuningConfig):
    data: InstructData = field(default_factory=InstructData)
    """What to train on."""


@dataclass(kw_only=True, slots=True)
class AlignConfig(TuningConfig):
    data: PreferenceData = field(default_factory=PreferenceData)
    """What to train on."""
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    """What is minimised of a pair of answers."""
