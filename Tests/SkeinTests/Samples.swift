import Dialects
import Testing

@testable import skein

/// A cluster of three, as a node writes it.
enum Sample {
    static let state = #"""
        {"id":"42-7","node":"00000000000000a1","cluster":"5d0b00000000beef","index":12,
         "leadership":{"term":3,"leader":"00000000000000a1","degraded":false,
          "voters":["00000000000000a1","00000000000000b2"]},
         "nodes":[
          {"id":"00000000000000a1","name":"alpha","addresses":["10.0.0.1:7535","172.17.0.1:7535"],
           "tags":["llama-cpu"],"role":"full","draining":false,"liveness":"alive","usable_bytes":8589934592,
           "total_bytes":17179869184,"free_disk_bytes":1,
           "speed":{"weight_bytes_per_second":12340000000,"weights":[]},"links":[]},
          {"id":"00000000000000b2","name":"beta","addresses":["10.0.0.2:7535"],"tags":["llama-cpu","llama-cuda"],
           "role":"full","draining":true,"liveness":"suspect"},
          {"id":"c300000000000000","name":"gate","addresses":[],"tags":[],"role":"management","draining":false,
           "liveness":"dead","later":{"than":"this version"}}],
         "deployments":[
          {"name":"tiny","model":"skein-tiny","replicas":1,"context_tokens":2048,"lanes":4,"state":"ready",
           "placements":[{"epoch":"3/1","replica":0,"phase":"active","context_tokens":2048,"lanes":4,"stages":[
            {"node":"00000000000000a1","first_layer":0,"end_layer":4,"bytes":1048576},
            {"node":"00000000000000b2","first_layer":4,"end_layer":8,"bytes":2097152}]}]},
          {"name":"big","model":"big","replicas":2,"state":"loading","reason":"Stage 1 loads.",
           "progress_per_mille":417,"placements":[]}],
         "settings":{},"warnings":["The disk of beta is nearly full."]}
        """#

    static func json(_ text: String) throws -> JSONNode { try JSONReader.read(Array(text.utf8)) }

    static func cluster() throws -> SeenCluster { try SeenCluster(json(state)) }
}
