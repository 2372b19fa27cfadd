#!/bin/bash
# All steps, in slices, by an array of Slurm tasks that never speak to one another:
#     sbatch --array=0-15 examples/slurm.sh mine.yaml
# The run folder lies on storage that all nodes share. A task that dies may be started again by Slurm or by hand, as
# sbatch --array=3 --export=ALL,SLICES=16 examples/slurm.sh mine.yaml: what is done is not done again.
#SBATCH --requeue
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=8G
config=$1
slice=${SLURM_ARRAY_TASK_ID:?run this with sbatch --array=0-N}/${SLICES:-$SLURM_ARRAY_TASK_COUNT}
for step in documents dedup embeddings neighbors graph tokens order windows shards; do
  icp step "$step" -c "$config" --parts "$slice" --wait "${WAIT:-86400}" || exit
done
