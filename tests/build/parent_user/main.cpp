float mean(float a, float b);

int main() { return mean(1, 3) == 2 ? 0 : 1; }
