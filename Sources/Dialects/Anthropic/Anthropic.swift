/// The Anthropic dialect: request bodies of the Messages API in, response bodies and event streams out. No HTTP.
///
/// **Source:** Anthropic's API reference, and the request bodies its SDK and common clients send.
package enum Anthropic {}
