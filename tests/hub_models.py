"""Small models with random weights, in folders as the hub's tools write them."""

import json
from pathlib import Path
from typing import Any

WORDS = ("soup", "bread", "goal", "match", "rain", "wind", "good", "the", "a", "is", "was")
_PICTURES = {"image_size": 32, "num_labels": 3}
_TEXTS = {"max_position_embeddings": 64, "num_labels": 3}
_WIDTHS = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}


def write_picture_model(folder: Path, kind: str = "vit") -> Path:
    """A classifier of 32 px pictures, with its head, as they are published."""
    import transformers as hf

    encoder = _WIDTHS | {"intermediate_size": 64}
    configs: dict[str, Any] = {
        "vit": lambda: hf.ViTConfig(**_PICTURES, **encoder, patch_size=8),
        "deit": lambda: hf.DeiTConfig(**_PICTURES, **encoder, patch_size=8),
        "dinov2": lambda: hf.Dinov2Config(**_PICTURES, **_WIDTHS, patch_size=8),
        "resnet": lambda: hf.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 32], depths=[1, 1, 1], layer_type="basic"
        ),
        "convnext": lambda: hf.ConvNextConfig(
            hidden_sizes=[8, 16, 32], depths=[1, 1, 1], num_stages=3
        ),
        "swin": lambda: hf.SwinConfig(
            image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
        ),
        "mobilevit": lambda: hf.MobileViTConfig(
            image_size=32,
            hidden_sizes=[16, 16, 16],
            neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 32],
            initializer_range=0.3,
            num_attention_heads=2,
        ),
    }
    model = hf.AutoModelForImageClassification.from_config(configs[kind]())
    model.save_pretrained(folder)
    processor = {
        "size": {"height": 32, "width": 32},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "rescale_factor": 1 / 255,
    }
    if kind == "mobilevit":
        processor = {
            "size": {"shortest_edge": 36},
            "crop_size": {"height": 32, "width": 32},
            "do_center_crop": True,
            "do_flip_channel_order": True,
        }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def write_text_model(folder: Path, kind: str = "distilbert") -> Path:
    """A classifier of texts with a small WordPiece tokenizer."""
    import transformers as hf
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = [*special, *WORDS, *letters[1:], *(f"##{letter}" for letter in letters)]
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    shared = {"vocab_size": len(ids), "pad_token_id": 0, **_TEXTS}
    configs: dict[str, Any] = {
        "distilbert": lambda: hf.DistilBertConfig(
            **shared, dim=32, hidden_dim=64, n_layers=3, n_heads=2
        ),
        "bert": lambda: hf.BertConfig(**shared, **_WIDTHS, intermediate_size=64),
        "roberta": lambda: hf.RobertaConfig(**shared, **_WIDTHS, intermediate_size=64),
        "electra": lambda: hf.ElectraConfig(
            **shared, **_WIDTHS, intermediate_size=64, embedding_size=16
        ),
        "gpt2": lambda: hf.GPT2Config(
            vocab_size=len(ids), n_positions=64, n_embd=32, n_layer=2, n_head=2, pad_token_id=0
        ),
    }
    model = hf.AutoModelForSequenceClassification.from_config(configs[kind]())
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
