/// Routes of llama.cpp's server that no vendor has: what a model's vocabulary and chat template make of a text. Errors
/// have OpenAI's shape, as there.
package enum LlamaServer {}
