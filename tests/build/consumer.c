/* The smallest user of the C interface: a query of 0 weighs both keys the same. */
#include <attn/attn.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const float query[] = {0, 0}, keys[] = {1, 2, 3, 4}, values[] = {1, 10, 3, 30};
  float output[2] = {0, 0};
  char message[200];
  attn_attention_args args;
  attn_attention_args_init(&args);
  args.query_length = 1;
  args.key_length = args.head_dim = args.value_dim = 2;
  args.query.data = query;
  args.key.data = keys;
  args.value.data = values;
  args.output.data = output;
  args.key.row_stride = args.value.row_stride = 2;
  if (attn_attention(&args, message, sizeof message) != ATTN_OK) {
    puts(message);
    return 1;
  }
  printf("attn %s: %g %g\n", attn_version(), output[0], output[1]);
  return output[0] == 2 && output[1] == 20 && strcmp(attn_version(), ATTN_VERSION_STRING) == 0 ? 0 : 1;
}
