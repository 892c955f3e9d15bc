/* Stands in for libggml-sycl.so beside the Ollama binaries of bigdl-core-cpp: it reports no SYCL device, so that the
 * server serves from the CPU. */
void *ggml_backend_sycl_buffer_type(int device) { (void)device; return 0; }
int ggml_backend_sycl_get_device_count(void) { return 0; }
void *ggml_backend_sycl_init(int device) { (void)device; return 0; }
