"""EndpointSlices: the addresses behind a Service, a hundred at a time."""

from k3py.api.kind import Kind

ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
