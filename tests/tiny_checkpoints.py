"""Tiny checkpoints with random weights: the real classes, the real file formats, a second to build.

The embeddings mean nothing; everything around them (loading, tokenizing, resizing, padding,
fingerprints) works as with the real ones.
"""

import json
from pathlib import Path
from typing import Any

TEXT_LENGTH = 64
IMAGE_SIZE = 32
PATCH_SIZE = 8
DIM = 32

_WORDS = """a cat on the table a dog in the snow a red house by the sea two birds in a tree
con mèo trên bàn một con chó trong tuyết ngôi nhà đỏ bên bờ biển кошка на столе собака в снегу
красный дом у моря 桌子上的猫 雪地里的狗 海边的红房子 テーブルの上の猫 雪の中の犬 gato sobre la mesa
perro en la nieve القط على الطاولة كلب في الثلج γάτα στο τραπέζι बिल्ली मेज पर a photo of a cat"""

_TOWER = {
    "hidden_size": DIM,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}

_CLIP_PICTURES = {
    "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": IMAGE_SIZE},
}


def build_tiny_siglip2(folder: Path, *, seed: int = 0) -> Path:
    """A SigLIP 2 of fixed resolution (32 pixels, patches of 8, dim 32) as the hub lays it out."""
    from transformers import SiglipConfig, SiglipModel

    vocab_size = _save_gemma_tokenizer(folder)
    config = SiglipConfig(
        text_config=_siglip_text(vocab_size),
        vision_config={**_TOWER, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE},
    )
    _save_model(SiglipModel, config, folder, seed)
    _save_json(
        folder / "preprocessor_config.json",
        {
            "do_convert_rgb": None,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "SiglipImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "SiglipProcessor",
            "resample": 2,
            "rescale_factor": 1 / 255,
            "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        },
    )
    return folder


def build_tiny_naflex(folder: Path, *, seed: int = 0) -> Path:
    """A SigLIP 2 of native aspect ratio: patches of 8 pixels, positions learned on 16 × 16."""
    from transformers import Siglip2Config, Siglip2Model

    vocab_size = _save_gemma_tokenizer(folder, tokenizer_class="Siglip2Tokenizer")
    config = Siglip2Config(
        text_config=_siglip_text(vocab_size),
        vision_config={**_TOWER, "num_patches": 256, "patch_size": PATCH_SIZE},
    )
    _save_model(Siglip2Model, config, folder, seed)
    _save_json(
        folder / "preprocessor_config.json",
        {
            "do_convert_rgb": None,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "Siglip2ImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "max_num_patches": 256,
            "patch_size": PATCH_SIZE,
            "processor_class": "Siglip2Processor",
            "resample": 2,
            "rescale_factor": 1 / 255,
        },
    )
    return folder


def build_tiny_siglip1(folder: Path, *, seed: int = 0) -> Path:
    """A SigLIP 1: its own SentencePiece tokenizer, bicubic resizing."""
    from transformers import SiglipConfig, SiglipModel

    vocab_size = _save_sentencepiece_tokenizer(folder)
    config = SiglipConfig(
        text_config=_siglip_text(vocab_size),
        vision_config={**_TOWER, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE},
    )
    _save_model(SiglipModel, config, folder, seed)
    _save_json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "SiglipImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "SiglipProcessor",
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        },
    )
    return folder


def build_tiny_clip(folder: Path, *, seed: int = 0) -> Path:
    """A CLIP: byte-level BPE, shortest side to 32 pixels, centre crop, a softmax's logit scale."""
    from transformers import CLIPConfig, CLIPModel

    vocab_size = _save_clip_tokenizer(folder)
    config = CLIPConfig(
        text_config={
            **_TOWER,
            "vocab_size": vocab_size,
            "max_position_embeddings": 77,
            "bos_token_id": vocab_size - 2,
            "eos_token_id": vocab_size - 1,
            "pad_token_id": vocab_size - 1,
        },
        vision_config={**_TOWER, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE},
        projection_dim=DIM,
    )
    _save_model(CLIPModel, config, folder, seed)
    _save_json(folder / "preprocessor_config.json", _CLIP_PICTURES)
    return folder


def build_tiny_chinese_clip(folder: Path, *, seed: int = 0) -> Path:
    """A Chinese-CLIP: BERT's text tower and WordPiece, pictures squashed to a square."""
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    vocab_size = _save_bert_tokenizer(folder)
    config = ChineseCLIPConfig(
        text_config={**_TOWER, "vocab_size": vocab_size, "max_position_embeddings": 64},
        vision_config={**_TOWER, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE},
        projection_dim=DIM,
    )
    _save_model(ChineseCLIPModel, config, folder, seed)
    _save_json(
        folder / "preprocessor_config.json",
        {
            "do_center_crop": False,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_processor_type": "ChineseCLIPImageProcessor",
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        },
    )
    return folder


def build_tiny_metaclip2(folder: Path, *, seed: int = 0) -> Path:
    """A MetaCLIP 2: CLIP's towers with XLM-RoBERTa's tokenizer, for many languages."""
    from transformers import MetaClip2Config, MetaClip2Model

    vocab_size = _save_xlm_roberta_tokenizer(folder)
    config = MetaClip2Config(
        text_config={
            **_TOWER,
            "vocab_size": vocab_size,
            "max_position_embeddings": 77,
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
        },
        vision_config={**_TOWER, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE},
        projection_dim=DIM,
    )
    _save_model(MetaClip2Model, config, folder, seed)
    _save_json(folder / "preprocessor_config.json", _CLIP_PICTURES)
    return folder


def build_tiny_altclip(folder: Path, *, seed: int = 0) -> Path:
    """An AltCLIP: CLIP's picture tower, XLM-RoBERTa's text tower, for nine languages."""
    from transformers import AltCLIPConfig, AltCLIPModel

    vocab_size = _save_xlm_roberta_tokenizer(folder, max_tokens=64)
    config = AltCLIPConfig(
        text_config={
            **_TOWER,
            "vocab_size": vocab_size,
            "max_position_embeddings": 66,
            "project_dim": 24,
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
        },
        vision_config={**_TOWER, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE},
        projection_dim=DIM,
    )
    # The text tower projects once itself, and the whole model from there to the common space.
    _save_model(AltCLIPModel, config, folder, seed)
    _save_json(
        folder / "preprocessor_config.json",
        {**_CLIP_PICTURES, "crop_size": IMAGE_SIZE, "size": IMAGE_SIZE},
    )
    return folder


def _siglip_text(vocab_size: int) -> dict[str, Any]:
    return {
        **_TOWER,
        "vocab_size": vocab_size,
        "max_position_embeddings": TEXT_LENGTH,
        "projection_size": DIM,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 1,
    }


def _save_model(model_class: Any, config: Any, folder: Path, seed: int) -> None:
    """Random weights, spread wide enough for different inputs to land far apart."""
    import torch

    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        model = model_class(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.4)
                elif name == "logit_scale":
                    parameter.fill_(4.6)
                elif name == "logit_bias":
                    parameter.fill_(-12.0)
    finally:
        torch.random.set_rng_state(state)
    model.save_pretrained(folder)


def _save_gemma_tokenizer(folder: Path, tokenizer_class: str = "GemmaTokenizer") -> int:
    """Gemma's layout: BPE on ▁ for space, bytes for the unknown, <pad> <eos> <bos> <unk> first."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    in_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    model = models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=[*special, *in_bytes], show_progress=False
    )
    # Upper case as well, like Gemma's own vocabulary: not lower-casing must make a difference.
    lines = [*_WORDS.splitlines(), *_WORDS.upper().splitlines()]
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer = _without_special_bytes(tokenizer, in_bytes)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <eos>:0",
        pair="$A:0 <eos>:0 $B:1 <eos>:1",
        special_tokens=[("<eos>", 1)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _save_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_eos_token": True,
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "model_max_length": TEXT_LENGTH,
            "pad_token": "<pad>",
            "padding_side": "right",
            "tokenizer_class": tokenizer_class,
            "unk_token": "<unk>",
        },
    )
    return int(tokenizer.get_vocab_size())


def _without_special_bytes(tokenizer: Any, in_bytes: list[str]) -> Any:
    """Keep the byte tokens in the vocabulary, and stop text from matching them literally."""
    from tokenizers import Tokenizer

    layout = json.loads(tokenizer.to_str())
    layout["added_tokens"] = [t for t in layout["added_tokens"] if t["content"] not in in_bytes]
    return Tokenizer.from_str(json.dumps(layout))


def _save_sentencepiece_tokenizer(folder: Path) -> int:
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(_WORDS.lower().splitlines()),
        model_prefix=str(folder / "spiece"),
        vocab_size=200,
        hard_vocab_limit=False,
        model_type="unigram",
        character_coverage=1.0,
        pad_id=-1,
        bos_id=-1,
        eos_id=1,
        unk_id=2,
        user_defined_symbols=["<extra>"],
        minloglevel=2,
    )
    (folder / "spiece.vocab").unlink()
    _save_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            "eos_token": "</s>",
            "model_max_length": TEXT_LENGTH,
            "pad_token": "</s>",
            "tokenizer_class": "SiglipTokenizer",
            "unk_token": "<unk>",
        },
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    return int(processor.get_piece_size())


def _save_clip_tokenizer(folder: Path) -> int:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    symbols = [*letters, *(f"{letter}</w>" for letter in letters), "ca", "cat</w>", "do", "dog</w>"]
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    merges = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>")]
    vocab = {symbol: position for position, symbol in enumerate(symbols)}
    CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77).save_pretrained(folder)
    return len(vocab)


def _save_bert_tokenizer(folder: Path) -> int:
    from transformers import BertTokenizer

    letters = sorted({letter for letter in _WORDS.lower() if not letter.isspace()})
    symbols = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    symbols += [f"##{letter}" for letter in letters]
    vocab = {symbol: position for position, symbol in enumerate(symbols)}
    BertTokenizer(vocab=vocab, do_lower_case=True, model_max_length=64).save_pretrained(folder)
    return len(vocab)


def _save_xlm_roberta_tokenizer(folder: Path, max_tokens: int = 77) -> int:
    from transformers import XLMRobertaTokenizer

    letters = sorted({letter for letter in _WORDS if not letter.isspace()})
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "▁", *letters, *(f"▁{x}" for x in letters)]
    pieces = [(symbol, 0.0 if symbol[0] == "<" else -5.0) for symbol in [*symbols, "<mask>"]]
    XLMRobertaTokenizer(vocab=pieces, model_max_length=max_tokens).save_pretrained(folder)
    return len(pieces)


def _save_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
