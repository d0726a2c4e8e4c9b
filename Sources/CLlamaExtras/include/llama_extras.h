// C ABI over what llama.cpp offers in C++ only: chat templates and answer parsing (common/), JSON schema to grammar
// (common/), the memory breakdown (src/llama-ext.h) and the backends of a context (src/llama-context.h). Nothing else
// of Skein sees those headers.
//
// Every function that can fail returns NULL (or false) and, when `error` is not NULL, leaves a message there that
// the caller frees with extras_string_free. Handles are freed with their own function. Getters return borrowed
// pointers that live as long as the handle. No function throws across this boundary.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

void extras_string_free(char * text);

// A borrowed text of `length` bytes. What people or models wrote comes so, because U+0000 is a character like any other
// there and does not end it.
struct extras_text {
    const char * bytes;
    size_t       length;
};

// Silences the logger of common/; errors come back as values.
void extras_init(void);

// --- chat templates ---------------------------------------------------------------------------------------------

typedef struct extras_chat_templates extras_chat_templates;
typedef struct extras_chat_prompt    extras_chat_prompt;

extras_chat_templates * extras_chat_templates_new(const struct llama_model * model, char ** error);
void                    extras_chat_templates_free(extras_chat_templates * templates);

enum extras_tool_choice { EXTRAS_TOOLS_AUTO = 0, EXTRAS_TOOLS_REQUIRED = 1, EXTRAS_TOOLS_NONE = 2 };

struct extras_chat_input {
    const char *            messages_json;          // array of OpenAI messages
    const char *            tools_json;             // array of OpenAI tools, or NULL
    enum extras_tool_choice tool_choice;
    bool                    parallel_tool_calls;
    const char *            json_schema;            // schema the answer must match, or NULL
    const char *            grammar;                // GBNF the answer must match, or NULL
    int32_t                 enable_thinking;        // 1 yes, 0 no, -1 template's default
    const char * const *    argument_names;         // template variables
    const char * const *    argument_values;        // their values as JSON text
    size_t                  argument_count;
};

extras_chat_prompt * extras_chat_apply(const extras_chat_templates * templates, const struct extras_chat_input * input,
                                       char ** error);
void                 extras_chat_prompt_free(extras_chat_prompt * prompt);

struct extras_text extras_chat_prompt_text(const extras_chat_prompt * prompt);
const char * extras_chat_prompt_grammar(const extras_chat_prompt * prompt);  // "" when there is none
bool         extras_chat_prompt_grammar_is_lazy(const extras_chat_prompt * prompt);
size_t       extras_chat_prompt_trigger_count(const extras_chat_prompt * prompt);
// Regular expression of trigger `index`, or NULL when the trigger is the single token in `token`.
const char * extras_chat_prompt_trigger(const extras_chat_prompt * prompt, size_t index, llama_token * token);
const char * extras_chat_prompt_thinking_start(const extras_chat_prompt * prompt);  // "" when it cannot think
size_t       extras_chat_prompt_thinking_end_count(const extras_chat_prompt * prompt);
const char * extras_chat_prompt_thinking_end(const extras_chat_prompt * prompt, size_t index);
// Texts of the tokens whose spelling the answer parser has to see, control tokens among them.
size_t       extras_chat_prompt_mark_count(const extras_chat_prompt * prompt);
const char * extras_chat_prompt_mark(const extras_chat_prompt * prompt, size_t index);
size_t       extras_chat_prompt_stop_count(const extras_chat_prompt * prompt);
const char * extras_chat_prompt_stop(const extras_chat_prompt * prompt, size_t index);
int32_t      extras_chat_prompt_format(const extras_chat_prompt * prompt);
const char * extras_chat_prompt_parser(const extras_chat_prompt * prompt);             // "" when there is none
const char * extras_chat_prompt_generation_prompt(const extras_chat_prompt * prompt);  // "" when there is none

// --- answers ----------------------------------------------------------------------------------------------------

typedef struct extras_answer_parser extras_answer_parser;
typedef struct extras_answer        extras_answer;

extras_answer_parser * extras_answer_parser_new(int32_t format, const char * parser, const char * generation_prompt,
                                                bool parses_tools, char ** error);
void                   extras_answer_parser_free(extras_answer_parser * parser);

extras_answer * extras_answer_parse(const extras_answer_parser * parser, const char * text, size_t length,
                                    bool is_partial, char ** error);
void               extras_answer_free(extras_answer * answer);
struct extras_text extras_answer_text(const extras_answer * answer);
struct extras_text extras_answer_reasoning(const extras_answer * answer);
size_t             extras_answer_tool_call_count(const extras_answer * answer);
struct extras_text extras_answer_tool_name(const extras_answer * answer, size_t index);
struct extras_text extras_answer_tool_arguments(const extras_answer * answer, size_t index);
struct extras_text extras_answer_tool_id(const extras_answer * answer, size_t index);

// --- grammar ----------------------------------------------------------------------------------------------------

// GBNF for a JSON schema; the caller frees it with extras_string_free.
char * extras_grammar_from_schema(const char * schema_json, char ** error);

// --- samplers -----------------------------------------------------------------------------------------------------

// A grammar sampler over root, or NULL when the grammar or a trigger pattern is not valid. llama.cpp throws for some of
// them, and an exception must not reach Swift.
struct llama_sampler * extras_grammar_new(const struct llama_vocab * vocab, const char * grammar,
                                          const char ** patterns, size_t pattern_count, const llama_token * tokens,
                                          size_t token_count, bool is_lazy);

// Like llama_sampler_accept and llama_sampler_apply; false when the sampler threw. A grammar that threw for a token has
// let go of its old state: it must not be given another token or candidates, which would end the process.
bool extras_sampler_accept(struct llama_sampler * sampler, llama_token token);
bool extras_sampler_apply(struct llama_sampler * sampler, llama_token_data_array * candidates);

// --- memory -----------------------------------------------------------------------------------------------------

struct extras_memory {
    uint64_t model;    // bytes of weights
    uint64_t context;  // bytes of KV cache and recurrent state
    uint64_t compute;  // bytes of compute buffers
    bool     is_host;  // the buffer type lives in ordinary memory
};

// Bytes per buffer type as llama.cpp's allocator planned them; returns how many entries were written.
size_t extras_memory_breakdown(const struct llama_context * context, struct extras_memory * out, size_t capacity);

// --- heads for several tokens ------------------------------------------------------------------------------------

// Makes a context give out the rows in front of the output head, which a model's heads for several tokens read.
void extras_give_hidden_rows(struct llama_context * context);

// Those of all rows of the last step, in their order; NULL when there are none.
const float * extras_hidden_rows(struct llama_context * context);

// --- how steps are computed -------------------------------------------------------------------------------------

// Whether processors compute the next steps as the library's reference does: attention by heads, each over the cells in
// their order. Else they share the cells of a single row among their threads, by where the cells are: a lane whose
// cells lie together then has one thread, and its sums depend on how many cells others use.
void extras_compute_row_by_row(struct llama_context * context, bool is_on);

// --- attention --------------------------------------------------------------------------------------------------

// Attention over the cells that rows see, anywhere in a pool, in place of the library's
// (docs/decisions/0028-attention-over-the-cells-that-rows-see.md). One of it holds which cells the rows of a mask see.
typedef struct extras_attention extras_attention;

extras_attention * extras_attention_new(void);
void               extras_attention_free(extras_attention * attention);

// Reads which cells each row sees. Shape of the mask: [rows, cells], f16, in memory. False when it says more than that.
bool extras_attention_see(extras_attention * attention, const struct ggml_tensor * mask);

// Whether a node of flash attention with a mask can be computed so: the processor and the types of the cache are
// known, and there are no biases by distance. That its tensors are in memory is the caller's business.
bool extras_attention_fits(const struct ggml_tensor * node);

// Makes the node compute so what it would have computed, until `extras_attention_give_back`. What was seen MUST be its
// mask, and MUST stay.
void extras_attention_take(const extras_attention * attention, struct ggml_tensor * node);
void extras_attention_give_back(struct ggml_tensor * node);

// --- how fast a device is ---------------------------------------------------------------------------------------

// Whether this processor multiplies weights of a ggml type by strips where they are as the file has them
// (Scripts/engine/strips.h).
bool extras_multiplies_by_strips(uint32_t type);

// How long a run took, and how much time of processors this process had meanwhile: less than `nanoseconds` times its
// threads when it had to share them.
struct extras_time {
    double nanoseconds;
    double processor_nanoseconds;
};

// Times `count` times the products of `matrices` matrices (`width` by `height`, of a ggml type) with `rows` rows, after
// one time unseen; the weights lie where a model's would. `device` NULL is the processor, which takes `threads`.
// Answers how many times are in `times`: 0 when the device cannot; `weight_bytes` are those of all matrices.
size_t extras_time_products(const char * device, uint32_t type, int64_t width, int64_t height, int32_t matrices,
                            int32_t rows, int32_t threads, struct extras_time * times, size_t count,
                            uint64_t * weight_bytes);

// The same for the attention of one row over `cells` cells of `layers` caches in half precision: `heads` heads of
// queries and `pairs` heads of keys and values, each of `size` values.
size_t extras_time_attention(const char * device, int64_t cells, int64_t heads, int64_t pairs, int64_t size,
                             int32_t layers, int32_t threads, struct extras_time * times, size_t count);

// --- pictures ---------------------------------------------------------------------------------------------------

// The pixels of a PNG, JPEG or GIF file (of a GIF its first image), three bytes each (red, green, blue), row by row;
// the caller frees them with extras_pixels_free. `memory` bounds what decoding may allocate altogether, whatever the
// file unpacks to. NULL when the file is damaged, of another format or needs more.
uint8_t * extras_pixels_decode(const uint8_t * bytes, size_t length, size_t memory, int32_t * width, int32_t * height,
                               char ** error);
void      extras_pixels_free(uint8_t * pixels);

#ifdef __cplusplus
}
#endif
