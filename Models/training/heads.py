#!/usr/bin/env python3
r"""Adds a trained multi-token-prediction (MTP / "NextN") block to Skein Tiny.

The trunk is the shipped qwen3 model, frozen and copied bit for bit; the result is a
GGUF of architecture `glm4moe` (llama.cpp: src/models/glm4-moe.cpp) whose eight trunk
layers are dense and compute what the qwen3 model computes, with block 8 as MTP block.

    pip install torch numpy gguf tokenizers
    python heads.py cache  --work W1 --batches 240                 # trunk states, once
    python heads.py train  --work W1 --steps 454                   # writes W1/mtp.pt
    python heads.py cache  --work W2 --batches 150 --seed 2        # fresh documents
    python heads.py train  --work W2 --steps 310 --seed 2 --resume W1/mtp.pt \
                                 --lr 0.012 --lr-adam 0.003 --decay 1
    python heads.py eval   --work W2
    python heads.py export --work W2 --out skein-tiny-mtp-q8_0.gguf

All take --models DIR.  On one shared core (Zen 5) that is about 4 + 11 + 3 + 8 minutes.
The shipped first stage ran with --minutes 11, which came to those 454 steps (its rate
followed the clock), so the commands give an equivalent block, not the same bits.
glibc allocates large temporaries slowly; this helps a lot:

    export MALLOC_MMAP_THRESHOLD_=8000000000 MALLOC_TRIM_THRESHOLD_=16000000000
    export MALLOC_TOP_PAD_=268435456 GLIBC_TUNABLES=glibc.malloc.hugetlb=1

DIR holds skein-tiny-f16.gguf (of export.py), skein-tiny-q8_0.gguf and training/.  One
thread is enough.

What the block computes.  At position t its input is the token x_t and a hidden state:
the trunk's state after the output norm at t-1 (depth 1), or the block's own output at
t-1 (depth 2, 3, ...: chained drafting).

    cur = eh_proj(concat(rms(emb[x_t]) * enorm, rms(h) * hnorm))
    cur = cur + attention(rms(cur) * attn_norm)          # q/k norm, NEOX rope, GQA
    cur = cur + swiglu(rms(cur) * post_attention_norm)
    h'  = rms(cur) * shared_head_norm;   logits = h' @ token_embd^T    # guesses x_{t+1}

Attention sees what llama.cpp's draft context has in its KV cache: depth-1 keys for all
positions before the draft and one chained key per draft step.  The SwiGLU of width 768
is stored as one routed expert (first 384) plus a shared expert (last 384); with one
expert and normalised weights the routed weight is exactly 1.

Loss: cross entropy against the trunk's own softmax (distillation), because a draft is
accepted when it equals the trunk's choice; on assistant tokens only, weights
1 / 0.6 / 0.4 for depth 1 / 2 / 3.
"""
import argparse, json, os, random, sys, time

import gguf
import numpy as np
import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True          # training/ may be read-only
H, K, D, FFN, HID, EPS, THETA, LAYERS = 4, 2, 64, 768, 256, 1e-6, 10000.0, 8
MATRICES = ("eh", "wq", "wk", "wv", "wo", "wg", "wu", "wd")
DEPTH_WEIGHT = (1.0, 0.6, 0.4)
NEG = -30000.0


# ------------------------------------------------------------------- model parts
def rms(x, w=None):
    f = x.float()
    f = f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + EPS)
    return (f if w is None else f * w.float()).to(x.dtype)


def rope_tables(pos):
    inv = THETA ** (-torch.arange(0, D, 2, dtype=torch.float32) / D)
    ang = pos.float()[:, None] * inv
    return ang.cos()[:, None], ang.sin()[:, None]


def rope(x, cs):
    a, b = x.float().chunk(2, -1)
    c, s = cs
    return torch.cat([a * c - b * s, b * c + a * s], -1).to(x.dtype)


def qkv(p, x, cs):
    """x [n,HID], normalised -> q [n,H,D], k and v [n,K,D]."""
    q = rope(rms(F.linear(x, p["wq"]).view(-1, H, D), p["qn"]), cs)
    k = rope(rms(F.linear(x, p["wk"]).view(-1, K, D), p["kn"]), cs)
    return q, k, F.linear(x, p["wv"]).view(-1, K, D)


def swiglu(p, x):
    return F.linear(F.silu(F.linear(x, p["wg"])) * F.linear(x, p["wu"]), p["wd"])


def attention(q, k, v, layout, masks, chain=()):
    """Grouped-query attention over flat tokens cut into rows, see training/model.py.

    chain: (k_m, v_m) [n,K,D] pairs, already aligned to the query, of earlier chained
    draft steps and of the query's own step; each adds one key to every query.
    """
    out, o, G = [], 0, H // K
    for (R, T), m in zip(layout, masks):
        n = R * T
        qq = q[o:o + n].view(R, T, K, G, D).permute(0, 2, 3, 1, 4)                    # R K G T D
        kk = k[o:o + n].view(R, T, K, D).permute(0, 2, 1, 3).reshape(R * K, T, D)
        vv = v[o:o + n].view(R, T, K, D).permute(0, 2, 1, 3).reshape(R * K, T, D)
        s = torch.bmm(qq.reshape(R * K, G * T, D), kk.transpose(1, 2)).view(R, K * G, T, T) * D ** -0.5 + m
        if chain:
            ck = [c[o:o + n].view(R, T, K, 1, D).permute(0, 2, 3, 1, 4) for c, _ in chain]   # R K 1 T D
            e = torch.stack([(qq * c).sum(-1).reshape(R, K * G, T) for c in ck], -1) * D ** -0.5
            s = torch.cat([s, e], -1)
        w = torch.softmax(s.float(), -1).to(q.dtype)
        y = torch.bmm(w[..., :T].reshape(R * K, G * T, T), vv).view(R, K, G, T, D)
        for i, (_, cv) in enumerate(chain):
            y = y + w[..., T + i].view(R, K, G, T, 1) * cv[o:o + n].view(R, T, K, 1, D).permute(0, 2, 3, 1, 4)
        out.append(y.permute(0, 3, 1, 2, 4).reshape(n, H * D))
        o += n
    return torch.cat(out)


def make_masks(doc, layout, back, dtype):
    """Additive masks: same document and at least `back` positions earlier."""
    out, o = [], 0
    for R, T in layout:
        d = doc[o:o + R * T].view(R, T)
        ok = (d[:, :, None] == d[:, None, :]) & torch.ones(T, T, dtype=torch.bool).tril(-back)
        out.append(torch.zeros(R, 1, T, T, dtype=dtype).masked_fill(~ok[:, None], NEG))
        o += R * T
    return out


# ------------------------------------------------------------------------- trunk
def load_trunk(path):
    t = {x.name: torch.from_numpy(np.array(x.data, dtype=np.float32)) for x in gguf.GGUFReader(path).tensors}
    names = dict(ln1="attn_norm", qn="attn_q_norm", kn="attn_k_norm", wq="attn_q", wk="attn_k", wv="attn_v",
                 wo="attn_output", ln2="ffn_norm", wg="ffn_gate", wu="ffn_up", wd="ffn_down")
    layers = [{a: t["blk.%d.%s.weight" % (i, b)] for a, b in names.items()} for i in range(LAYERS)]
    return {"emb": t["token_embd.weight"], "lnf": t["output_norm.weight"], "layers": layers}


def cast(trunk, dtype):
    return {"emb": trunk["emb"].to(dtype), "lnf": trunk["lnf"], "layers": [
        {k: v.to(dtype) if v.ndim == 2 else v for k, v in l.items()} for l in trunk["layers"]]}


@torch.no_grad()
def trunk_hidden(trunk, ids, pos, doc, layout):
    """The trunk's state after the output norm, for every position."""
    dt = trunk["emb"].dtype
    cs, m = rope_tables(pos), make_masks(doc, layout, 0, dt)
    x = F.embedding(ids, trunk["emb"])
    for p in trunk["layers"]:
        x = x + F.linear(attention(*qkv(p, rms(x, p["ln1"]), cs), layout, m), p["wo"])
        x = x + swiglu(p, rms(x, p["ln2"]))
    return rms(x, trunk["lnf"])


# --------------------------------------------------------------------- MTP block
def init_block(trunk, scale_e, scale_h):
    """The trunk's last layer on top of scale_e * e + scale_h * (residual direction)."""
    p = {k: v.clone() for k, v in trunk["layers"][-1].items()}
    eye = torch.eye(HID)
    p["eh"] = torch.cat([scale_e * eye, scale_h * eye], 1)      # columns: e first, then h
    p["en"] = torch.ones(HID)
    p["hn"] = 1 / trunk["lnf"].clamp(min=0.05)                   # undoes the output norm's gains
    p["hn"] = p["hn"] / p["hn"].pow(2).mean().sqrt()
    p["hd"] = trunk["lnf"].clone()                               # shared_head_norm
    return p


def chain_index(sel, n):
    """sel [m]: sorted flat positions that predict an assistant token.
    ok[d]: which of them can be at depth d+1 (their d predecessors are in sel too)."""
    inside = torch.zeros(n, dtype=torch.bool)
    inside[sel] = True
    ok = [torch.ones(len(sel), dtype=torch.bool)]
    for d in range(1, len(DEPTH_WEIGHT)):
        ok.append(ok[-1] & (sel >= d) & inside[(sel - d).clamp(min=0)])
    return ok


def spread(x, sel, n):
    """[m,...] at positions sel -> [n,...], zero elsewhere."""
    return torch.zeros((n,) + x.shape[1:], dtype=x.dtype).index_copy(0, sel, x)


def shift(x, d):
    return x if d == 0 else torch.cat([torch.zeros_like(x[:d]), x[:-d]])


def head_states(p, emb, b, h, depths=3):
    """The block's outputs h' at the positions sel, for every depth."""
    ids, pos, doc, sel, layout = b["ids"], b["pos"], b["doc"], b["sel"], b["layout"]
    n, dt = len(ids), emb.dtype
    cs = rope_tables(pos)
    css = tuple(c[sel] for c in cs)
    e = rms(F.embedding(ids, emb), p["en"])
    we, wh = p["eh"][:, :HID], p["eh"][:, HID:]
    ee = F.linear(e, we)
    out, keys, k1, v1, cur_h = [], [], None, None, None
    for d in range(depths):
        if d == 0:      # all positions: their keys and values fill the draft's KV cache
            x = ee + F.linear(rms(h, p["hn"]), wh)
            q, k1, v1 = qkv(p, rms(x, p["ln1"]), cs)
            x = x[sel]
            chain = []
        else:           # only where an assistant token is predicted
            x = ee[sel] + F.linear(rms(shift(spread(cur_h, sel, n), 1)[sel], p["hn"]), wh)
            q, k, v = qkv(p, rms(x, p["ln1"]), css)
            q = spread(q, sel, n)
            keys.append((spread(k, sel, n), spread(v, sel, n)))
            chain = [(shift(a, d - 1 - i), shift(c, d - 1 - i)) for i, (a, c) in enumerate(keys)]
        y = attention(q, k1, v1, layout, make_masks(doc, layout, d, dt), chain)
        x = x + F.linear(y[sel], p["wo"])
        x = x + swiglu(p, rms(x, p["ln2"]))
        cur_h = rms(x, p["hd"])
        out.append(cur_h)
    return out


def shifted_hidden(b, rng=None):
    """h at t-1 for every t.  llama.cpp gives zeros to the first token of the first
    prompt of a slot and the previous request's last state to later ones; both occur here."""
    h = shift(b["h"], 1).clone()
    first = b["pos"] == 0
    if rng is not None:
        first = first & (torch.rand(len(first), generator=rng) < 0.5)
    h[first] = 0
    return h


# -------------------------------------------------------------------------- data
def training_code(models):
    sys.path.insert(0, os.path.join(models, "training"))
    import train
    return train


def plain(batch):
    """Packer batch -> dict with the positions whose next token is an assistant token."""
    (ids, pos, doc), (sel, tgt, wgt), _ = batch
    m = int((wgt > 0).sum())
    o = sel[:m].argsort()
    return {"ids": ids, "pos": pos, "doc": doc, "sel": sel[:m][o], "tgt": tgt[:m][o], "wgt": wgt[:m][o]}


def cmd_cache(a):
    """Generates documents and stores the trunk's states (bfloat16, 4 MB per batch)."""
    tr = training_code(a.models)
    full = load_trunk(a.models + "/skein-tiny-f16.gguf")
    layout, n = tr.LONG, sum(r * t for r, t in tr.LONG)
    # Sanity check in float32: the reimplemented trunk must predict held-out documents.
    b = plain(tr.val_batches(layout, n, 1)[0])
    h = trunk_hidden(full, b["ids"], b["pos"], b["doc"], layout)
    lo = F.linear(h[b["sel"]], full["emb"])
    ce = F.cross_entropy(lo, b["tgt"], reduction="none")
    print("trunk, float32: held-out weighted loss %.4f, accuracy %.4f" % (
        (ce * b["wgt"]).sum() / b["wgt"].sum(), (lo.argmax(-1) == b["tgt"]).float().mean()), flush=True)
    trunk = cast(full, torch.bfloat16)
    os.makedirs(a.work, exist_ok=True)

    def states(src, count, path):
        out, t0 = [], time.time()
        for i in range(count):
            layout, raw = next(src)
            b = plain(raw)
            b["layout"] = [list(g) for g in layout]
            b["h"] = trunk_hidden(trunk, b["ids"], b["pos"], b["doc"], layout)
            for k in ("ids", "pos", "doc"):
                b[k] = b[k].to(torch.int32)
            out.append(b)
            if i % 25 == 24:
                print(path, i + 1, "batches, %.0f tokens/s" % ((i + 1) * n / (time.time() - t0)), flush=True)
        torch.save(out, path)

    def mixed():        # every fourth batch has long chats (rows of 2048 cost much attention)
        short = tr.Packer(tr.stream(a.seed + 900, 0), tr.LAYOUT, n)
        long = tr.Packer(tr.stream(a.seed + 950, 0, True), tr.LONG, n)
        while True:
            yield tr.LONG, long.batch()
            for _ in range(3):
                yield tr.LAYOUT, short.batch()

    v = iter(zip([tr.LAYOUT, tr.LONG] * 3, [x for p in zip(tr.val_batches(tr.LAYOUT, n, 3), tr.val_batches(tr.LONG, n, 3)) for x in p]))
    states(v, 6, a.work + "/val.pt")
    states(mixed(), a.batches, a.work + "/cache.pt")


def load_batches(path):
    out = torch.load(path, weights_only=True)
    for b in out:
        for k in ("ids", "pos", "doc"):
            b[k] = b[k].long()
    return out


# ---------------------------------------------------------------------- training
class Optim:
    """Muon for the matrices, Adam for the norm gains, as training/train.py does."""
    def __init__(self, p, lr_m, lr_a):
        self.master = {k: v.float().clone() for k, v in p.items()}
        self.m = {k: torch.zeros_like(v) for k, v in self.master.items()}
        self.s = {k: torch.zeros_like(v) for k, v in self.master.items()}
        self.avg = {k: v.clone() for k, v in self.master.items()}
        self.t, self.lr_m, self.lr_a = 0, lr_m, lr_a

    def live(self, dtype):
        """Fresh leaves: matrices in the compute type, gains in float32."""
        return {k: (v.to(dtype) if k in MATRICES else v.clone()).requires_grad_() for k, v in self.master.items()}

    @torch.no_grad()
    def step(self, p, scale):
        self.t += 1
        for k, w in self.master.items():
            g = p[k].grad.float()
            if k in MATRICES:
                beta = min(0.95, 0.85 + 0.10 * self.t / 200)
                self.m[k].lerp_(g, 1 - beta)
                u = g.lerp(self.m[k], beta)
                # eh is two square matrices side by side; orthogonalise each by itself
                for x, v in zip(u.split(HID, 1) if k == "eh" else [u], w.split(HID, 1) if k == "eh" else [w]):
                    tall = x.shape[0] > x.shape[1]
                    X = (x.T if tall else x).bfloat16()
                    X = X / (X.norm() + 1e-10)
                    for _ in range(5):      # Newton-Schulz towards U V^T
                        A = X @ X.T
                        X = 3.4445 * X + (-4.7750 * A + 2.0315 * (A @ A)) @ X
                    X = X.float().T if tall else X.float()
                    v.mul_(1 - 0.02 * self.lr_m * scale)
                    v.add_(X, alpha=-self.lr_m * scale * max(1.0, x.shape[0] / x.shape[1]) ** 0.5)
            else:
                b1, b2 = 0.9, 0.97
                self.m[k].lerp_(g, 1 - b1); self.s[k].lerp_(g * g, 1 - b2)
                d = self.m[k] / (1 - b1 ** self.t) / ((self.s[k] / (1 - b2 ** self.t)).sqrt() + 1e-10)
                w.add_(d, alpha=-self.lr_a * scale)


def loss_of(p, emb, b, rng):
    hs = head_states(p, emb, b, shifted_hidden(b, rng))
    with torch.no_grad():
        target = torch.softmax(F.linear(b["h"][b["sel"]], emb).float(), -1)
    total = 0.0
    parts = []
    for w, h, ok in zip(DEPTH_WEIGHT, hs, chain_index(b["sel"], len(b["ids"]))):
        i = ok.nonzero()[:, 0]
        lp = torch.log_softmax(F.linear(h[i], emb).float(), -1)
        ce = -(target[i] * lp).sum(-1).mean()
        total = total + w * ce
        parts.append(ce.item())
    return total, parts


@torch.no_grad()
def agreement(p, emb, batches, depths=3):
    """Agreement with the trunk's argmax per depth: over all chains, and over the chains
    whose earlier guesses were right (what decides whether a draft is accepted)."""
    hit, num, chit, cnum = ([0] * depths for _ in range(4))
    for b in batches:
        hs = head_states(p, emb, b, shifted_hidden(b), depths)
        n, sel = len(b["ids"]), b["sel"]
        want = F.linear(b["h"][sel], emb).float().argmax(-1)
        alive = torch.zeros(n, dtype=torch.bool)
        ok = chain_index(sel, n)
        for d in range(depths):
            good = F.linear(hs[d], emb).float().argmax(-1) == want
            o = ok[d]
            c = o if d == 0 else o & shift(alive, 1)[sel]
            hit[d] += int((good & o).sum()); num[d] += int(o.sum())
            chit[d] += int((good & c).sum()); cnum[d] += int(c.sum())
            alive = torch.zeros(n, dtype=torch.bool)
            alive[sel[good & c]] = True
    r = lambda x, y: [round(i / max(1, j), 4) for i, j in zip(x, y)]
    return {"all": r(hit, num), "given_prefix": r(chit, cnum)}


def cmd_train(a):
    full = load_trunk(a.models + "/skein-tiny-f16.gguf")
    emb = full["emb"].bfloat16()
    data, val = load_batches(a.work + "/cache.pt"), load_batches(a.work + "/val.pt")
    if a.resume:
        start = torch.load(a.resume, weights_only=True)
    else:
        start = init_block(full, full["emb"].pow(2).mean().sqrt().item(), a.scale_h)
    opt = Optim(start, a.lr, a.lr_adam)
    rng = torch.Generator().manual_seed(a.seed)
    r = random.Random(a.seed)
    print("init", agreement(opt.live(torch.bfloat16), emb, val[:2]), flush=True)
    t0 = last = time.time(); order = []; acc = []; step = 0
    while True:
        if not order:
            order = list(range(len(data))); r.shuffle(order)
        left = 1 - (step / a.steps if a.steps else (time.time() - t0) / 60 / a.minutes)
        if left <= 0:
            break
        p = opt.live(torch.bfloat16)
        loss, parts = loss_of(p, emb, data[order.pop()], rng)
        loss.backward()
        opt.step(p, min(1.0, (opt.t + 1) / 20) * min(1.0, left / a.decay))
        acc.append(parts); step += 1
        if step % 25 == 0:
            print("step %d  %.1f min  loss %s" % (step, (time.time() - t0) / 60, np.round(np.mean(acc, 0), 4)), flush=True)
            acc = []
        if step % 150 == 0:
            print("  val", agreement(opt.live(torch.bfloat16), emb, val[:2]), flush=True)
        if time.time() - last > 120:
            torch.save(opt.master, a.work + "/mtp.pt"); last = time.time()
    torch.save(opt.master, a.work + "/mtp.pt")
    print("steps", step, "epochs %.2f" % (step / len(data)), "val", agreement(opt.live(torch.bfloat16), emb, val), flush=True)


def cmd_eval(a):
    emb = load_trunk(a.models + "/skein-tiny-f16.gguf")["emb"].bfloat16()
    p = torch.load(a.work + "/mtp.pt", weights_only=True)
    p = {k: v.bfloat16() if k in MATRICES else v for k, v in p.items()}
    print(json.dumps(agreement(p, emb, load_batches(a.work + "/val.pt"))))


# ------------------------------------------------------------------------ export
def cmd_export(a):
    src = gguf.GGUFReader(a.models + "/skein-tiny-q8_0.gguf")
    p = torch.load(a.work + "/mtp.pt", weights_only=True)
    arch, N = "glm4moe", LAYERS + 1
    w = gguf.GGUFWriter(a.out, arch)
    for k, f in src.fields.items():
        if k.startswith("GGUF.") or k == "general.architecture":
            continue
        kind = f.types[0]
        sub = f.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        v = f.contents()
        if k == "qwen3.block_count":
            v = N
        w.add_key_value(k.replace("qwen3.", arch + "."), v, kind, sub_type=sub)
        if k == "qwen3.vocab_size":     # the MoE and MTP keys right after the copied ones
            w.add_nextn_predict_layers(1)
            w.add_leading_dense_block_count(LAYERS)
            w.add_expert_count(1)
            w.add_expert_used_count(1)
            w.add_expert_shared_count(1)
            w.add_expert_feed_forward_length(FFN // 2)
            w.add_expert_weights_norm(True)
            w.add_expert_weights_scale(1.0)
            w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    tensors = {t.name: t for t in src.tensors}

    def copy(name, new):
        t = tensors[name]
        w.add_tensor(new, np.array(t.data), raw_dtype=t.tensor_type)

    def q8(name, x):
        x = np.ascontiguousarray(x.float().numpy())
        w.add_tensor(name, gguf.quants.quantize(x, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    def f32(name, x):
        w.add_tensor(name, np.ascontiguousarray(x.float().numpy()))

    for t in src.tensors:
        if t.name != "output_norm.weight":
            copy(t.name, t.name.replace("ffn_norm", "post_attention_norm"))
    b, f = "blk.%d." % LAYERS, FFN // 2
    f32(b + "attn_norm.weight", p["ln1"])
    q8(b + "attn_q.weight", p["wq"]); f32(b + "attn_q_norm.weight", p["qn"])
    q8(b + "attn_k.weight", p["wk"]); f32(b + "attn_k_norm.weight", p["kn"])
    q8(b + "attn_v.weight", p["wv"]); q8(b + "attn_output.weight", p["wo"])
    f32(b + "post_attention_norm.weight", p["ln2"])
    f32(b + "ffn_gate_inp.weight", torch.zeros(1, HID))          # sigmoid(0) = 0.5, normalised to 1
    f32(b + "exp_probs_b.bias", torch.zeros(1))
    for part, cut, lead in (("exps", slice(0, f), True), ("shexp", slice(f, FFN), False)):
        for n, x in (("gate", p["wg"][cut]), ("up", p["wu"][cut]), ("down", p["wd"][:, cut])):
            q8(b + "ffn_%s_%s.weight" % (n, part), x[None] if lead else x)
    q8(b + "nextn.eh_proj.weight", p["eh"])
    f32(b + "nextn.enorm.weight", p["en"])
    f32(b + "nextn.hnorm.weight", p["hn"])
    f32(b + "nextn.shared_head_norm.weight", p["hd"])
    copy("output_norm.weight", "output_norm.weight")
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    # The trunk must be bit-identical, and nothing may be missing.
    new = {t.name: t for t in gguf.GGUFReader(a.out).tensors}
    for n, t in tensors.items():
        u = new[n.replace("ffn_norm", "post_attention_norm")]
        assert u.tensor_type == t.tensor_type and np.array_equal(u.data, t.data), n
    print(a.out, os.path.getsize(a.out), "bytes,", len(new), "tensors, trunk identical")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cmd", choices=("cache", "train", "eval", "export"))
    a.add_argument("--models", default=".."); a.add_argument("--work", default="work")
    a.add_argument("--batches", type=int, default=330, help="batches of 8192 slots to cache")
    a.add_argument("--minutes", type=float, default=12); a.add_argument("--steps", type=int, default=0)
    a.add_argument("--decay", type=float, default=0.6, help="last fraction of the run with a falling rate")
    a.add_argument("--lr", type=float, default=0.02); a.add_argument("--lr-adam", type=float, default=0.005)
    a.add_argument("--scale-h", type=float, default=1.0); a.add_argument("--resume")
    a.add_argument("--threads", type=int, default=1); a.add_argument("--seed", type=int, default=1)
    a.add_argument("--out", default="skein-tiny-mtp-q8_0.gguf")
    a = a.parse_args()
    torch.set_num_threads(a.threads); torch.manual_seed(a.seed); np.random.seed(a.seed)
    {"cache": cmd_cache, "train": cmd_train, "eval": cmd_eval, "export": cmd_export}[a.cmd](a)


if __name__ == "__main__":
    main()
