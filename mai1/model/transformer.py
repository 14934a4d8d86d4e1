"""The model on one page: a decoder-only transformer whose feed-forward layers are mixtures of experts.

Legend: B batch, T positions, S cached positions, D width, V vocabulary.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from mai1.model.attention import Attention, AttentionConfig, AttentionKind
from mai1.model.embedding_noise import EmbeddingNoise
from mai1.model.ffn import SwiGLU
from mai1.model.isolation import Isolation, isolate
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.latent_attention import LatentAttention
from mai1.model.lora import LoraConfig
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.router import UNCOUNTED, Routing, TokenMarks
from mai1.model.moe.routing_policy import RoutingConfig, noise_seed
from mai1.model.multi_token import FurtherPrediction, ahead, marks_ahead
from mai1.model.norm import RMSNorm
from mai1.model.rope import Rotation, rotation_at
from mai1.model.sequence_parallel import own_positions


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    vocab_size: int = 0
    """Rows of the embedding; 0 takes the tokenizer's size (a multiple of 128)."""
    d_model: int = 256
    """Width of the residual stream."""
    num_layers: int = 4
    """Transformer blocks."""
    num_dense_layers: int = 1
    """The first blocks, which have a dense feed-forward network instead of experts."""
    num_mtp_layers: int = 0
    """Further tokens predicted in training, each by a block of its own behind the others; 0 is off. Inference ignores it."""
    dense_width: int = 1024
    """Inner width of the dense feed-forward networks."""
    max_positions: int = 2048
    """Longest context in tokens that the model is declared for."""
    rope_theta: float = 10000.0
    """Base of the rotary wavelengths."""
    norm_eps: float = 1e-6
    """Added to the mean square in every RMSNorm."""
    tie_embeddings: bool = False
    """Use the embedding matrix for the output too."""
    init_std: float = 0.02
    """Standard deviation of the initial weights; residual outputs get init_std / sqrt(2 * num_layers)."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    """Heads of the attention."""
    moe: MoEConfig = field(default_factory=MoEConfig)
    """Router and experts."""

    def __post_init__(self) -> None:
        for key in ("d_model", "num_layers", "dense_width", "max_positions", "rope_theta", "norm_eps", "init_std"):
            if not getattr(self, key) > 0:
                raise ValueError(f"model.{key}={getattr(self, key)} must be above 0")
        if self.vocab_size < 0:
            raise ValueError(f"model.vocab_size={self.vocab_size} must not be negative: use 0 for the tokenizer's size")
        if self.num_mtp_layers < 0:
            raise ValueError(f"model.num_mtp_layers={self.num_mtp_layers} must not be negative: use 0 to turn it off")
        if not 0 <= self.num_dense_layers < self.num_layers:
            raise ValueError(
                f"model.num_dense_layers={self.num_dense_layers} must be from 0 to num_layers-1={self.num_layers - 1}: "
                "at least one layer is a mixture of experts"
            )

    @property
    def moe_layers(self) -> range:
        """Indices of the MoE layers, those for further tokens at the end."""
        return range(self.num_dense_layers, self.num_layers + self.num_mtp_layers)

    def places_of(self, layers: Collection[int]) -> slice:
        """Where consecutive MoE layers, given by index, stand among all of them."""
        first = min(layers) - self.num_dense_layers
        return slice(first, first + len(layers))


@dataclass
class ModelOutput:
    """What the network made of every position of this rank, and what each MoE layer decided."""

    hidden_BTD: torch.Tensor
    """After the final norm; before the last pipeline stage, what goes on to the next one."""
    unembedding_VD: torch.Tensor | None
    """The weight that maps hidden states to logits; a view, because ZeRO-3 claims parameters that a module returns. None
    before the last pipeline stage."""
    routings: dict[int, Routing]
    """By layer index; dense layers have none."""
    further_BTD: list[torch.Tensor] = field(default_factory=list)
    """In training, each depth's hidden states, from which the logits of a further token follow."""
    sequence_group: dist.ProcessGroup | None = None
    """The ranks that hold the other positions of the same rows; None where this rank holds all of them."""
    num_layers_elsewhere: int = 0
    """MoE layers of the model that other pipeline stages hold."""

    @property
    def logits_BTV(self) -> torch.Tensor:
        """Logits of the next token at every position: large, so training and evaluation never ask for them."""
        return F.linear(self.hidden_BTD, self.unembedding_VD)


class Block(nn.Module):
    """Pre-norm attention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        *,
        expert_group: dist.ProcessGroup | None,
        sequence_group: dist.ProcessGroup | None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        shape = {"d_model": config.d_model, "sequence_group": sequence_group}
        if config.attention.kind is AttentionKind.latent:
            self.attention = LatentAttention(config.attention, **shape)
        else:
            self.attention = Attention(config.attention, **shape, norm_eps=config.norm_eps)
        self.ffn_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        if layer < config.num_dense_layers:
            self.ffn = SwiGLU(config.d_model, width=config.dense_width)
        else:
            self.ffn = MoELayer(config.moe, d_model=config.d_model, expert_group=expert_group)

    def forward(
        self,
        x_BTD: torch.Tensor,
        rotation: Rotation,
        isolation: Isolation,
        marks: TokenMarks,
        cache: KeyValueCache | None,
    ) -> tuple[torch.Tensor, Routing | None]:
        attended_BTD = self.attention(
            self.attention_norm(x_BTD), rotation=rotation, isolation=isolation, cache=cache, layer=self.layer
        )
        x_BTD = x_BTD + attended_BTD
        if isinstance(self.ffn, MoELayer):
            y_BTD, routing = self.ffn(self.ffn_norm(x_BTD), marks)
            return x_BTD + y_BTD, routing
        return x_BTD + self.ffn(self.ffn_norm(x_BTD)), None


class MoETransformer(nn.Module):
    """Tokens to hidden states.

    With an `expert_group`, this rank holds only its share of every layer's experts. With a `sequence_group`, all its ranks
    are given the same whole rows, and each computes its own slice of their positions. With `blocks`, this is the pipeline
    stage that holds only those, under the names they have in the whole model: the first stage has the embedding, the last
    one the final norm and the unembedding.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        expert_group: dist.ProcessGroup | None = None,
        sequence_group: dist.ProcessGroup | None = None,
        blocks: range | None = None,
    ) -> None:
        super().__init__()
        blocks = range(config.num_layers) if blocks is None else blocks
        is_first, is_last = blocks.start == 0, blocks.stop == config.num_layers
        self.config, self.sequence_group = config, sequence_group
        self.recompute = False
        """Keep only block inputs in the forward and compute the rest again in the backward."""
        self.embedding_noise: EmbeddingNoise | None = None
        """What is added to the embeddings in training mode."""
        self.lora: LoraConfig | None = None
        """What `adapt` has added; None where the weights themselves are trained."""
        self.embedding = nn.Embedding(config.vocab_size, config.d_model) if is_first else None
        groups = {"expert_group": expert_group, "sequence_group": sequence_group}
        self.layers = nn.ModuleList()
        for layer in blocks:
            self.layers.add_module(str(layer), Block(config, layer, **groups))  # a stage's numbers do not begin at 0
        self.final_norm = RMSNorm(config.d_model, eps=config.norm_eps) if is_last else None
        has_unembedding = is_last and not config.tie_embeddings
        self.unembedding = nn.Linear(config.d_model, config.vocab_size, bias=False) if has_unembedding else None
        self.mtp = nn.ModuleList(
            FurtherPrediction(
                Block(config, config.num_layers + i, **groups),
                depth=i + 1,
                d_model=config.d_model,
                norm_eps=config.norm_eps,
            )
            for i in range(config.num_mtp_layers)
        )

    def forward(
        self,
        tokens_BT: torch.Tensor,
        *,
        positions_BT: torch.Tensor | None = None,
        segments_BT: torch.Tensor | None = None,
        counted_BT: torch.Tensor | None = None,
        samples_B: torch.Tensor | None = None,
        cache: KeyValueCache | None = None,
        x_BTD: torch.Tensor | None = None,
    ) -> ModelOutput:
        """Hidden states of every position of this rank, from which the logits of the next token follow.

        What is given are whole rows, also where this rank holds a slice of their positions.

        `segments_BT` holds document ids, each a run of positions: attention never crosses them; -1 is padding. Without
        it each row is one document; left on the CPU it spares a GPU a wait. `positions_BT` counts from each document's
        start; by default from the row's start. With a `cache`, the tokens continue what it holds, by default in document
        0, and nothing is counted. `counted_BT` says which tokens are load, by default all but padding; `samples_B` are the
        rows' numbers in the run's order, which jitter needs. `x_BTD` is what the pipeline stage before handed on; the
        first one embeds.
        """
        assert cache is None or self.sequence_group is None, "a cache holds whole rows"
        rotation = self._rotation(tokens_BT, positions_BT, cache)
        if cache is None:
            isolation, marks = self._rows(tokens_BT, segments_BT, counted_BT, samples_B)
        else:
            isolation, marks = cache.begin(tokens_BT, segments_BT), UNCOUNTED
        if self.embedding is not None:
            x_BTD = self._embed(tokens_BT, segments_BT, samples_B)
        routings = {}
        for block in self.layers:
            x_BTD, routing = self._run(block, x_BTD, rotation, isolation, marks, cache)
            if routing is not None:
                routings[block.layer] = routing
        if cache is not None:
            cache.finish(tokens_BT.shape[1])
        output = self._output(x_BTD, routings)
        if self.mtp and self.training and cache is None:
            self._predict_further(output, tokens_BT, segments_BT, rotation, isolation, marks)
        return output

    def set_routing(self, routing: RoutingConfig, *, seed: int) -> None:
        """How to route in training mode from now on; evaluation and generation stay plain dropless token choice."""
        for layer, moe in self.moe_layers().items():
            moe.router.policy, moe.router.noise_seed = routing, noise_seed(seed, layer)

    def compile_blocks(self) -> None:
        """Compile each block on its first use; one compilation serves all that are alike."""
        for block in self.layers:
            block.compile()

    def moe_layers(self) -> dict[int, MoELayer]:
        """The MoE layers by layer index."""
        blocks = [*self.layers, *(module.block for module in self.mtp)]
        return {block.layer: block.ffn for block in blocks if isinstance(block.ffn, MoELayer)}

    @property
    def output_weight_VD(self) -> torch.Tensor:
        """Maps hidden states to logits; only the last pipeline stage has it."""
        return self.embedding.weight if self.unembedding is None else self.unembedding.weight

    def _rotation(
        self, tokens_BT: torch.Tensor, positions_BT: torch.Tensor | None, cache: KeyValueCache | None
    ) -> Rotation:
        if positions_BT is None:
            first = 0 if cache is None else cache.length
            positions_BT = torch.arange(first, first + tokens_BT.shape[1], device=tokens_BT.device).expand_as(tokens_BT)
        positions_BT = own_positions(positions_BT, self.sequence_group)
        return rotation_at(positions_BT, rope_dim=self.config.attention.rotated_dim, theta=self.config.rope_theta)

    def _rows(
        self,
        tokens_BT: torch.Tensor,
        segments_BT: torch.Tensor | None,
        counted_BT: torch.Tensor | None,
        samples_B: torch.Tensor | None,
    ) -> tuple[Isolation, TokenMarks]:
        """Which tokens of whole rows may see each other, and what routing has to know of them."""
        isolation, valid_BT = None, torch.ones_like(tokens_BT, dtype=torch.bool)
        if segments_BT is not None:
            isolation = isolate(segments_BT, segments_BT, device=tokens_BT.device)
            valid_BT = (segments_BT >= 0).to(tokens_BT.device)
        counted_BT = valid_BT if counted_BT is None else counted_BT & valid_BT
        return isolation, TokenMarks(valid_BT, counted_BT, samples_B, self.sequence_group)

    def _embed(
        self, tokens_BT: torch.Tensor, segments_BT: torch.Tensor | None, samples_B: torch.Tensor | None
    ) -> torch.Tensor:
        x_BTD = self.embedding(own_positions(tokens_BT, self.sequence_group))
        if self.embedding_noise is None or not self.training:
            return x_BTD
        segments_BT = _segments_of(tokens_BT, segments_BT)
        return self.embedding_noise.add_to(x_BTD, segments_BT, samples_B, group=self.sequence_group)

    def _output(self, x_BTD: torch.Tensor, routings: dict[int, Routing]) -> ModelOutput:
        num_elsewhere = self.config.num_layers - self.config.num_dense_layers - len(routings)
        if self.final_norm is None:
            return ModelOutput(x_BTD, None, routings, [], self.sequence_group, num_elsewhere)
        unembedding_VD = self.output_weight_VD[:]
        return ModelOutput(self.final_norm(x_BTD), unembedding_VD, routings, [], self.sequence_group, num_elsewhere)

    def _predict_further(
        self,
        output: ModelOutput,
        tokens_BT: torch.Tensor,
        segments_BT: torch.Tensor | None,
        rotation: Rotation,
        isolation: Isolation,
        marks: TokenMarks,
    ) -> None:
        """Add each depth's hidden states and routing to the output."""
        hidden_BTD, segments_BT = output.hidden_BTD, _segments_of(tokens_BT, segments_BT)
        for module in self.mtp:
            further_BT = ahead(tokens_BT, segments_BT, depth=module.depth)
            embedding_BTD = self.embedding(own_positions(further_BT, self.sequence_group))
            marks_of_depth = marks_ahead(marks, segments_BT, depth=module.depth)
            inputs_of_block = (rotation, isolation, marks_of_depth, None)
            hidden_BTD, routing = self._run(module, hidden_BTD, embedding_BTD, *inputs_of_block)
            output.further_BTD.append(hidden_BTD)
            output.routings[module.block.layer] = routing

    def _run(self, module: nn.Module, *inputs: object) -> tuple[torch.Tensor, Routing | None]:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(module, *inputs, use_reentrant=False)
        return module(*inputs)


def _segments_of(tokens_BT: torch.Tensor, segments_BT: torch.Tensor | None) -> torch.Tensor:
    """The segments beside the tokens; without any, every row is one document."""
    return torch.zeros_like(tokens_BT) if segments_BT is None else segments_BT.to(tokens_BT.device)
