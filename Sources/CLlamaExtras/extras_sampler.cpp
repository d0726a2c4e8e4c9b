#include "llama_extras.h"

#include <exception>

struct llama_sampler * extras_grammar_new(const struct llama_vocab * vocab, const char * grammar,
                                          const char ** patterns, size_t pattern_count, const llama_token * tokens,
                                          size_t token_count, bool is_lazy) {
    try {
        if (!is_lazy) {
            return llama_sampler_init_grammar(vocab, grammar, "root");
        }
        return llama_sampler_init_grammar_lazy_patterns(vocab, grammar, "root", patterns, pattern_count, tokens,
                                                        token_count);
    } catch (...) {
        return nullptr;
    }
}

bool extras_sampler_accept(struct llama_sampler * sampler, llama_token token) {
    try {
        llama_sampler_accept(sampler, token);
        return true;
    } catch (...) {
        return false;
    }
}

bool extras_sampler_apply(struct llama_sampler * sampler, llama_token_data_array * candidates) {
    try {
        llama_sampler_apply(sampler, candidates);
        return true;
    } catch (...) {
        return false;
    }
}
