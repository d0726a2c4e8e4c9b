#include "llama_extras.h"

#include "common/chat.h"
#include "common/common.h"
#include "common/json-schema-to-grammar.h"
#include "common/log.h"

#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace {

char * duplicate(const std::string & text) {
    char * copy = static_cast<char *>(malloc(text.size() + 1));
    if (copy != nullptr) {
        memcpy(copy, text.c_str(), text.size() + 1);
    }
    return copy;
}

// Runs `work`; an exception becomes NULL and a message.
template <typename Work> auto guarded(char ** error, Work work) -> decltype(work()) {
    std::string message;
    try {
        return work();
    } catch (const std::exception & exception) {
        message = exception.what();
    } catch (...) {
        message = "unknown C++ exception";
    }
    if (error != nullptr) {
        *error = duplicate(message);
    }
    return nullptr;
}

extras_text lent(const std::string & text) { return { text.data(), text.size() }; }

std::string anchored(const std::string & pattern) {
    if (pattern.empty()) {
        return "^$";
    }
    return (pattern.front() != '^' ? "^" : "") + pattern + (pattern.back() != '$' ? "$" : "");
}

// Makes an object of the arguments of every earlier call. Many templates read them as one, and the library then refuses
// the whole conversation for a call without arguments (an empty text) or one that was cut off: no later turn could
// repair that, because the call stays in the history. A call that was cut off keeps its text, as the only member, so
// that the model sees what it wrote and the tool's complaint about it makes sense.
void mend_arguments(std::vector<common_chat_msg> & messages) {
    for (auto & message : messages) {
        for (auto & call : message.tool_calls) {
            if (call.arguments.find_first_not_of(" \t\r\n") == std::string::npos) {
                call.arguments = "{}";
            } else if (!common_json::parse_no_throw(call.arguments).is_object()) {
                common_json object  = common_json::object();
                object["arguments"] = call.arguments;
                call.arguments      = object.dump_safe();
            }
        }
    }
}

struct trigger {
    bool        is_token;
    llama_token token;
    std::string pattern;
};

}  // namespace

struct extras_chat_templates {
    common_chat_templates_ptr  templates;
    const struct llama_vocab * vocab;
};

struct extras_chat_prompt {
    common_chat_params   params;
    std::vector<trigger> triggers;
};

struct extras_answer_parser {
    common_chat_parser_params params;
};

struct extras_answer {
    common_chat_msg message;
};

void extras_string_free(char * text) { free(text); }

void extras_init(void) { common_log_pause(common_log_main()); }

// --- chat templates ---------------------------------------------------------------------------------------------

extras_chat_templates * extras_chat_templates_new(const struct llama_model * model, char ** error) {
    return guarded(error, [&]() -> extras_chat_templates * {
        return new extras_chat_templates{ common_chat_templates_init(model, ""), llama_model_get_vocab(model) };
    });
}

void extras_chat_templates_free(extras_chat_templates * templates) { delete templates; }

static std::vector<trigger> triggers_of(const common_chat_params & params, const struct llama_vocab * vocab) {
    std::vector<trigger> triggers;
    for (const auto & entry : params.grammar_triggers) {
        switch (entry.type) {
            case COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN:
                triggers.push_back({ true, entry.token, "" });
                break;
            case COMMON_GRAMMAR_TRIGGER_TYPE_WORD: {
                // A word that is one token triggers on the token, so text that merely spells it does not.
                const auto tokens = common_tokenize(vocab, entry.value, false, true);
                if (tokens.size() == 1) {
                    triggers.push_back({ true, tokens[0], "" });
                } else {
                    triggers.push_back({ false, LLAMA_TOKEN_NULL, regex_escape(entry.value) });
                }
                break;
            }
            case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN:
                triggers.push_back({ false, LLAMA_TOKEN_NULL, entry.value });
                break;
            case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL:
                triggers.push_back({ false, LLAMA_TOKEN_NULL, anchored(entry.value) });
                break;
        }
    }
    return triggers;
}

extras_chat_prompt * extras_chat_apply(const extras_chat_templates * templates, const struct extras_chat_input * input,
                                       char ** error) {
    return guarded(error, [&]() -> extras_chat_prompt * {
        common_chat_templates_inputs inputs;
        inputs.messages = common_chat_msgs_parse_oaicompat(common_json::parse(input->messages_json));
        mend_arguments(inputs.messages);
        if (input->tools_json != nullptr) {
            inputs.tools = common_chat_tools_parse_oaicompat(common_json::parse(input->tools_json));
        }
        switch (input->tool_choice) {
            case EXTRAS_TOOLS_AUTO:     inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_AUTO; break;
            case EXTRAS_TOOLS_REQUIRED: inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED; break;
            case EXTRAS_TOOLS_NONE:     inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_NONE; break;
        }
        inputs.parallel_tool_calls = input->parallel_tool_calls;
        inputs.json_schema         = input->json_schema != nullptr ? input->json_schema : "";
        inputs.grammar             = input->grammar != nullptr ? input->grammar : "";
        inputs.reasoning_format    = COMMON_REASONING_FORMAT_AUTO;
        inputs.enable_thinking     = input->enable_thinking != 0;
        for (size_t i = 0; i < input->argument_count; i++) {
            inputs.chat_template_kwargs[input->argument_names[i]] = input->argument_values[i];
        }
        auto params   = common_chat_templates_apply(templates->templates.get(), inputs);
        auto triggers = triggers_of(params, templates->vocab);
        return new extras_chat_prompt{ std::move(params), std::move(triggers) };
    });
}

void extras_chat_prompt_free(extras_chat_prompt * prompt) { delete prompt; }

extras_text  extras_chat_prompt_text(const extras_chat_prompt * prompt) { return lent(prompt->params.prompt); }
const char * extras_chat_prompt_grammar(const extras_chat_prompt * prompt) { return prompt->params.grammar.c_str(); }
bool extras_chat_prompt_grammar_is_lazy(const extras_chat_prompt * prompt) {
    return prompt->params.grammar_lazy;
}
size_t       extras_chat_prompt_trigger_count(const extras_chat_prompt * prompt) { return prompt->triggers.size(); }

const char * extras_chat_prompt_trigger(const extras_chat_prompt * prompt, size_t index, llama_token * token) {
    const auto & entry = prompt->triggers.at(index);
    *token             = entry.token;
    return entry.is_token ? nullptr : entry.pattern.c_str();
}

const char * extras_chat_prompt_thinking_start(const extras_chat_prompt * prompt) {
    return prompt->params.thinking_start_tag.c_str();
}
size_t extras_chat_prompt_thinking_end_count(const extras_chat_prompt * prompt) {
    return prompt->params.thinking_end_tags.size();
}
const char * extras_chat_prompt_thinking_end(const extras_chat_prompt * prompt, size_t index) {
    return prompt->params.thinking_end_tags.at(index).c_str();
}
size_t extras_chat_prompt_mark_count(const extras_chat_prompt * prompt) {
    return prompt->params.preserved_tokens.size();
}
const char * extras_chat_prompt_mark(const extras_chat_prompt * prompt, size_t index) {
    return prompt->params.preserved_tokens.at(index).c_str();
}

size_t extras_chat_prompt_stop_count(const extras_chat_prompt * prompt) {
    return prompt->params.additional_stops.size();
}
const char * extras_chat_prompt_stop(const extras_chat_prompt * prompt, size_t index) {
    return prompt->params.additional_stops.at(index).c_str();
}
int32_t      extras_chat_prompt_format(const extras_chat_prompt * prompt) { return prompt->params.format; }
const char * extras_chat_prompt_parser(const extras_chat_prompt * prompt) { return prompt->params.parser.c_str(); }
const char * extras_chat_prompt_generation_prompt(const extras_chat_prompt * prompt) {
    return prompt->params.generation_prompt.c_str();
}

// --- answers ----------------------------------------------------------------------------------------------------

extras_answer_parser * extras_answer_parser_new(int32_t format, const char * parser, const char * generation_prompt,
                                                bool parses_tools, char ** error) {
    return guarded(error, [&]() -> extras_answer_parser * {
        common_chat_parser_params params;
        params.format            = static_cast<common_chat_format>(format);
        params.reasoning_format  = COMMON_REASONING_FORMAT_AUTO;
        params.generation_prompt = generation_prompt;
        params.parse_tool_calls  = parses_tools;
        if (parser[0] != '\0') {
            params.parser.load(parser);
        }
        return new extras_answer_parser{ std::move(params) };
    });
}

void extras_answer_parser_free(extras_answer_parser * parser) { delete parser; }

extras_answer * extras_answer_parse(const extras_answer_parser * parser, const char * text, size_t length,
                                    bool is_partial, char ** error) {
    return guarded(error, [&]() -> extras_answer * {
        return new extras_answer{ common_chat_parse(std::string(text, length), is_partial, parser->params) };
    });
}

void        extras_answer_free(extras_answer * answer) { delete answer; }
extras_text extras_answer_text(const extras_answer * answer) { return lent(answer->message.content); }
extras_text extras_answer_reasoning(const extras_answer * answer) { return lent(answer->message.reasoning_content); }
size_t      extras_answer_tool_call_count(const extras_answer * answer) { return answer->message.tool_calls.size(); }
extras_text extras_answer_tool_name(const extras_answer * answer, size_t index) {
    return lent(answer->message.tool_calls.at(index).name);
}
extras_text extras_answer_tool_arguments(const extras_answer * answer, size_t index) {
    return lent(answer->message.tool_calls.at(index).arguments);
}
extras_text extras_answer_tool_id(const extras_answer * answer, size_t index) {
    return lent(answer->message.tool_calls.at(index).id);
}

// --- grammar ----------------------------------------------------------------------------------------------------

char * extras_grammar_from_schema(const char * schema_json, char ** error) {
    return guarded(error,
                   [&]() -> char * { return duplicate(json_schema_to_grammar(common_json::parse(schema_json))); });
}
