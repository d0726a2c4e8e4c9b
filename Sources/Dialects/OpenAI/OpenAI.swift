/// The OpenAI dialect: request bodies in, response bodies and event streams out. No HTTP.
///
/// **Source:** OpenAI's OpenAPI document, and the request bodies its SDK and common clients send.
package enum OpenAI {}
