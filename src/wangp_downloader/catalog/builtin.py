"""What the newest known Wan2GP says about its architectures, for trees whose handlers can not be asked.

Names only: lora folder, family, and a data type of its own where it has one. Recorded from Wan2GP 12.60
(August 2026) by asking its handlers; a tree with handlers is always asked instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ArchitectureRow(NamedTuple):
    """One architecture: lora folder below the lora root, family id, data type or empty."""

    loras: str
    family: str
    dtype: str = ""


_GROUPS: tuple[tuple[str, str, str, str], ...] = (
    # family, lora folder, data type of its own, architectures
    (
        "flux",
        "flux",
        "",
        "flux flux_chroma flux_chroma_radiance flux_dev_kontext flux_dev_kontext_dreamomni2 flux_dev_umo "
        "flux_dev_uso flux_schnell",
    ),
    ("flux", "flux2", "", "flux2_dev pi_flux2"),
    ("flux", "flux2_klein_4b", "", "flux2_klein_4b"),
    ("flux", "flux2_klein_9b", "", "flux2_klein_9b"),
    ("hidream", "hidream_o1", "", "hidream_o1 hidream_o1_dev"),
    (
        "hunyuan",
        "hunyuan",
        "",
        "hunyuan hunyuan_avatar hunyuan_custom hunyuan_custom_audio hunyuan_custom_edit",
    ),
    ("hunyuan", "hunyuan_1_5", "", "hunyuan_1_5_i2v hunyuan_1_5_t2v hunyuan_1_5_upsampler"),
    ("hunyuan", "hunyuan_i2v", "", "hunyuan_i2v"),
    ("ideogram4", "ideogram4", "", "ideogram4 ideogram4_turbotime"),
    ("kandinsky5", "k5_lite_i2v", "", "k5_lite_i2v"),
    ("kandinsky5", "k5_lite_t2v", "", "k5_lite_t2v"),
    ("kandinsky5", "k5_pro_i2v", "", "k5_pro_i2v"),
    ("kandinsky5", "k5_pro_t2v", "", "k5_pro_t2v"),
    ("krea2", "krea2", "", "krea2_raw krea2_raw_edit krea2_turbo krea2_turbo_edit"),
    ("longcat", "longcat", "", "longcat_video"),
    ("longcat", "longcat_avatar", "", "longcat_avatar"),
    ("longcat", "longcat_avatar_v1_5", "", "longcat_avatar_v1_5"),
    (
        "ltx2",
        "ltx2",
        "bf16",
        "joyai_echo ltx2_19B ltx2_22B ltx2_22B_edit_anything ltx2_22B_msr ltx2_25_22B",
    ),
    ("ltxv", "ltxv", "", "ltxv_13B"),
    ("magi_human", "magi_human", "", "magi_human"),
    ("magi_human", "magi_human_distill", "", "magi_human_distill"),
    (
        "minimax_h3",
        "minimax_h3",
        "bf16",
        "minimax_h3_fl2va minimax_h3_fl2va_pruned minimax_h3_ref2va minimax_h3_ref2va_pruned",
    ),
    (
        "qwen",
        "qwen",
        "",
        "qwen_image_20B qwen_image_edit_20B qwen_image_edit_plus2_20B qwen_image_edit_plus_20B "
        "qwen_image_layered_20B",
    ),
    ("tts", "", "", "yue"),
    ("tts", "ace_step", "", "ace_step_v1"),
    ("tts", "ace_step_v1_5", "", "ace_step_v1_5"),
    ("tts", "ace_step_v1_5_xl", "", "ace_step_v1_5_xl"),
    ("tts", "chatterbox", "", "chatterbox"),
    ("tts", "dramabox_audio", "bf16", "dramabox_audio"),
    ("tts", "heart_mula", "", "heartmula_oss_3b"),
    ("tts", "index_tts2", "", "index_tts2"),
    ("tts", "index_tts25", "", "index_tts25"),
    ("tts", "kugelaudio", "", "kugelaudio_0_open"),
    ("tts", "minimax_music3", "", "minimax_music3"),
    ("tts", "omnivoice", "", "omnivoice"),
    ("tts", "qwen3_tts", "", "qwen3_tts_base qwen3_tts_customvoice qwen3_tts_voicedesign"),
    ("tts", "scenema_audio", "bf16", "scenema_audio"),
    ("tts", "stable_audio3_medium", "", "stable_audio3_medium"),
    ("tts", "stable_audio3_small", "", "stable_audio3_small"),
    (
        "wan",
        "wan",
        "",
        "alpha alpha2 alpha_lynx bernini i2v_2_2 i2v_2_2_multitalk i2v_2_2_svi2pro lynx lynx_lite mocha "
        "phantom_14B sky_df_14B standin t2v t2v_2_2 vace_14B vace_14B_2_2 vace_ditto_14B vace_lynx_14B "
        "vace_multitalk_14B vace_standin_14B vista4d",
    ),
    ("wan", "wan_1.3B", "", "bernini_1.3B phantom_1.3B recam_1.3B sky_df_1.3B t2v_1.3B vace_1.3B"),
    ("wan", "wan_5B", "", "kiwi_edit lucy_edit ovi ti2v_2_2"),
    ("wan", "wan_animate2", "", "animate2"),
    (
        "wan",
        "wan_i2v",
        "",
        "animate chrono_edit fantasy flf2v_720p fun_inp fun_inp_1.3B i2v infinitetalk multitalk scail "
        "scail2_1.3B scail2_14B steadydancer wanmove",
    ),
    ("wan", "wan_shotplan", "", "shotplan_t2v"),
    ("wan", "wan_shotplan_2_2", "", "shotplan_t2v_2_2"),
    (
        "z_image",
        "z_image",
        "",
        "z_image z_image_base z_image_control z_image_control2 z_image_control2_1",
    ),
)

ARCHITECTURES: Mapping[str, ArchitectureRow] = {
    name: ArchitectureRow(loras, family, dtype)
    for family, loras, dtype, names in _GROUPS
    for name in names.split()
}
"""Architecture → what is known of it."""
