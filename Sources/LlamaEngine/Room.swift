import CLlama
import CLlamaExtras
